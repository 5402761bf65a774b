"""Moving MNIST: where digits are, how they bounce, whose images they are, and how its anomalies are split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from benchmark.config import SplitConfig, UsageError
from benchmark.data import load_dataset_config
from benchmark.data.images import ImageData, load_images
from benchmark.data.moving import draw, moving_digits, paths
from benchmark.data.splits import make_split

SMALL = {"frames": 5, "canvas": 20, "speed": [1.5, 2.5], "slow": [0.0, 0.5], "fast": [4.0, 6.0]} | {
    "train_per_class": 6, "test_per_class": 4, "other_motion": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    """Three classes, 12 training and 10 test images each; the top left pixels of an image name it."""
    rng = np.random.default_rng(0)
    found = []
    for split, count in enumerate((36, 30)):
        images = rng.integers(1, 256, (count, 28, 28), dtype=np.uint8)
        images[:, 0, 0:2] = images[:, 1, 0:2] = (1 + split * 100 + np.arange(count))[:, None]
        found += [images, (np.arange(count) % 3).astype(np.uint8)]
    return found


def dataset(**changes: object) -> object:
    content = {"name": "moving", "classes": ["a", "b", "c"], "options": {**SMALL, **changes}}
    return OmegaConf.create(content)


@pytest.fixture(scope="module")
def moving(data_dir) -> ImageData:
    return load_images(load_dataset_config("moving_mnist"), data_dir)


def test_paths_bounce_like_a_ball() -> None:
    """Against steps that mirror the velocity at a border, one at a time."""
    speeds, room = torch.linspace(0, 30, 40, dtype=torch.float64), 18
    places = paths(speeds, 12, room, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    start = torch.rand(40, 2, generator=generator, dtype=torch.float64) * room
    angle = torch.rand(40, generator=generator, dtype=torch.float64) * 2 * torch.pi
    for n in range(40):
        for axis, part in ((0, angle[n].sin()), (1, angle[n].cos())):
            place, velocity = float(start[n, axis]), float(speeds[n] * part)
            for t in range(12):
                assert abs(int(places[n, t, axis]) - place) <= 0.5 + 1e-9
                place += velocity
                while not 0 <= place <= room:
                    place, velocity = (-place if place < 0 else 2 * room - place), -velocity


def test_draw_puts_each_digit_where_it_is() -> None:
    digits = torch.randint(1, 256, (3, 4, 5), dtype=torch.uint8)
    places = torch.randint(0, 6, (3, 2, 2))
    frames = draw(digits, places, 11)
    for n in range(3):
        for t in range(2):
            y, x = places[n, t].tolist()
            assert torch.equal(frames[n, t, y : y + 4, x : x + 5], digits[n])
            assert int(frames[n, t].count_nonzero()) == 20


def test_every_sequence_has_an_image_of_its_own_split(arrays) -> None:
    train, train_labels, test, test_labels = moving_digits(dataset(), arrays)
    assert train.shape == (30, 5, 20, 20)
    assert np.bincount(train_labels).tolist() == [6, 6, 6, 4, 4, 4]
    assert np.bincount(test_labels).tolist() == [4] * 6
    for sequences, targets, labels, split in ((train, train_labels, arrays[1], 0), (test, test_labels, arrays[3], 1)):
        names = []
        for sequence, target in zip(sequences, targets, strict=True):
            rows, columns = np.nonzero(sequence[0])
            names.append(int(sequence[0, rows.min(), columns.min()]) - 1 - 100 * split)
            assert labels[names[-1]] == target % 3
        assert len(set(names)) == len(names)


def test_speeds_are_those_of_the_kinds(moving: ImageData) -> None:
    """Away from borders a digit's centre of mass moves by its speed, up to rounding to whole pixels."""
    ranges = {0: (1.5, 2.5), 1: (0, 0.5), 2: (4, 6)}
    for i in range(0, 4000, 37):
        frames = moving.test_images[i].double()
        grid = torch.arange(32).double()
        mass = frames.sum((1, 2))
        centre = torch.stack([frames.sum(2) @ grid, frames.sum(1) @ grid], 1) / mass.unsqueeze(1)
        fastest = float((centre[1:] - centre[:-1]).norm(dim=1).max())
        place = int((moving.test_labels[:i] == moving.test_labels[i]).sum())
        low, high = ranges[0 if moving.test_labels[i] < 10 else 1 + place % 2]
        assert low - 1.5 <= fastest <= high + 1.5


def test_same_names_same_sequences_other_names_others(arrays) -> None:
    one, again = moving_digits(dataset(), arrays), moving_digits(dataset(), arrays)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    other = dataset()
    other.name = "another"
    assert not np.array_equal(one[0], moving_digits(other, arrays)[0])


def test_version_names_these_very_sequences(moving: ImageData) -> None:
    assert moving.version == "be73e3602fab2bf8b065a2d54134d84bc5f1fee26b8fcda3eec25b07b3cb95a8"
    assert moving.image_shape == (8, 32, 32)


def test_too_many_sequences_and_unknown_options_are_refused(arrays) -> None:
    with pytest.raises(UsageError, match="class 0 has 12 train images, options ask for 24"):
        moving_digits(dataset(train_per_class=20), arrays)
    with pytest.raises(UsageError, match=r"dataset\.options of moving must be frames, .* got .*speeed"):
        moving_digits(dataset(speeed=1), arrays)


@pytest.mark.parametrize("evaluate_on", ["test", "validation"])
def test_one_vs_rest_has_other_digits_and_the_normal_ones_other_motion(moving: ImageData, evaluate_on: str) -> None:
    split = make_split(moving, SplitConfig(name="one_vs_rest", evaluate_on=evaluate_on), 3, 0)
    assert set(moving.train_labels[split.train_index].tolist()) == {3}
    normal = split.eval_target[split.eval_label == 0].unique().tolist()
    anomalous = split.eval_target[split.eval_label == 1].unique().tolist()
    assert normal == [3]
    assert anomalous == [0, 1, 2, 4, 5, 6, 7, 8, 9, 13]
    if evaluate_on == "validation":
        assert not set(split.train_index.tolist()) & set(split.eval_index.tolist())
        assert len(split.train_index) == 720 == split.nominal_train_size
    else:
        assert len(split.eval_index) == 10 * 200 + 200
        assert split.nominal_train_size == 900


def test_leave_one_out_has_the_left_out_digit_and_other_motion_of_the_rest(moving: ImageData) -> None:
    split = make_split(moving, SplitConfig(name="leave_one_out"), 3, 0)
    assert sorted(set(moving.train_labels[split.train_index].tolist())) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert split.eval_target[split.eval_label == 1].unique().tolist() == [3, 10, 11, 12, 14, 15, 16, 17, 18, 19]
    assert split.eval_target[split.eval_label == 0].unique().tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
