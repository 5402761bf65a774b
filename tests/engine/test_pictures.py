"""Pictures of a cell: how frames are laid out, and what lies between two codes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.engine.colours import in_colour
from benchmark.engine.pictures import GRID, PASSES, STEPS, _decoded_grid, generated_images, side_by_side
from benchmark.store.records import read_record
from tests.faults.helpers import run_here as run
from tests.tiny_models import build


@pytest.mark.parametrize(("channels", "columns"), [(1, 1), (3, 3), (4, 2), (7, 7), (8, 4), (12, 4)])
def test_frames_stand_in_rows_in_reading_order(channels: int, columns: int) -> None:
    images = torch.randint(0, 256, (2, channels, 5, 6), dtype=torch.uint8)
    shown = side_by_side(images)
    assert shown.shape == (2, 5 * channels // columns, 6 * columns)
    for c in range(channels):
        y, x = 5 * (c // columns), 6 * (c % columns)
        assert np.array_equal(shown[:, y : y + 5, x : x + 6], images[:, c].numpy())


def test_interpolation_begins_and_ends_at_the_reconstructions_of_two_normal_images(tmp_path) -> None:
    options = ["-m", "model=ae,vae", "dataset=digits", "split.normal_class=3", "trainer.epochs=2", "tracking=off"]
    done = run(tmp_path, *options, "experiment_name=between")
    assert done.returncode == 0, done.stderr
    found = {}
    for path in (tmp_path / "outputs" / "cells").rglob("status.json"):
        record = read_record(path.parent)
        images = found[record.axes.model] = record.images()
        assert images["interpolation"].shape == (STEPS, 28, 28)
        assert images["interpolation_codes"].shape == (STEPS, 16)
        codes = images["interpolation_codes"]
        np.testing.assert_allclose(np.diff(codes, axis=0), np.tile((codes[-1] - codes[0]) / 9, (9, 1)), atol=1e-4)
        assert not np.array_equal(images["interpolation"][0], images["interpolation"][-1])
    assert np.array_equal(found["ae"]["interpolation_ends"], found["vae"]["interpolation_ends"])
    done = run(tmp_path, "experiment=between", module="benchmark.report")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outputs/reports/between/figures/interpolation_digits_one_vs_rest.png").exists()
    assert "Decoded along the straight line" in (tmp_path / "outputs/reports/between/report.html").read_text()


def test_a_decoded_grid_holds_each_image_at_its_place() -> None:
    xs, ys = torch.linspace(0, 0.2, GRID), torch.linspace(0.5, 1, GRID)

    def decode(method: str, codes: torch.Tensor) -> torch.Tensor:
        assert method == "decode"
        return codes.reshape(-1, 1, 1, 2)  # two pixels: x and y

    grid = _decoded_grid(decode, xs, ys)
    assert grid.shape == (GRID, GRID, 1, 2)
    assert np.array_equal(grid[3, :, 0, 0], (xs * 255).round().numpy())
    assert np.array_equal(grid[:, 3, 0, 1], (ys * 255).round().numpy())
    assert _decoded_grid(lambda *_: None, xs, ys) is None


def test_three_square_channels_are_colours_where_they_are_shown() -> None:
    images = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(in_colour(side_by_side(images)), images.permute(0, 2, 3, 1).numpy())
    for shape in ((2, 1, 5, 5), (2, 8, 5, 5)):
        grey = side_by_side(torch.zeros(shape, dtype=torch.uint8))
        assert in_colour(grey) is grey


def test_a_model_that_needs_a_pass_a_pixel_draws_no_large_images() -> None:
    def decode(method: str, noise: torch.Tensor) -> torch.Tensor:
        return noise.unflatten(1, (1, 2, -1))

    model = build("flow")
    assert generated_images(model, None, 2, 0, decode) is not None
    model.sample_shape = (PASSES + 1,)
    assert generated_images(model, None, 2, 0, decode) is None
