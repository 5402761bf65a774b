"""One image file: what its pixels become, and what is said of one that gives none."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from benchmark.data.reading import MOST_PIXELS, Unreadable, read_image, read_stored
from tests.data.png import png_head

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # pytest has its own filters in place of the program's
GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601


def saved(path: Path, pixels: np.ndarray | Image.Image, **how) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **how)
    return path


@pytest.mark.parametrize("kind", ["png", "bmp", "tif", "jpg"])
def test_pixels_are_those_of_the_file(tmp_path, kind):
    path = saved(tmp_path / f"a.{kind}", COLOURS)
    found, stored = read_stored(path, 3, 32)
    with Image.open(path) as image:
        assert np.array_equal(found, np.asarray(image).transpose(2, 0, 1))
    assert (stored, found.dtype, found.shape) == (3, np.uint8, (3, 32, 32))
    with path.open("rb") as file:
        assert np.array_equal(read_image(file, 3, 32), found)


def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path):
    saved(tmp_path / "a.png", COLOURS).rename(tmp_path / "a.jpg")
    assert np.array_equal(read_image(tmp_path / "a.jpg", 3, 32), COLOURS.transpose(2, 0, 1))


def test_grey_of_colours_and_colours_of_grey(tmp_path):
    grey = read_image(saved(tmp_path / "a.png", COLOURS), 1, 32)
    assert np.abs(grey[0] - COLOURS @ LUMA).max() <= 1
    repeated, stored = read_stored(saved(tmp_path / "b.png", COLOURS[..., 0]), 3, 32)
    assert stored == 1
    assert all(np.array_equal(channel, COLOURS[..., 0]) for channel in repeated)


def test_resizing_is_antialiased_as_that_of_other_data_sets(tmp_path):
    big = np.random.default_rng(2).integers(0, 256, (100, 100), dtype=np.uint8)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(big)[None, None].float(), (28, 28), mode="bilinear", antialias=True
    )
    found = read_image(saved(tmp_path / "a.png", big), 1, 28)
    assert np.abs(found[0].astype(float) - theirs[0, 0].numpy()).max() <= 1


def test_keep_aspect_fits_the_image_into_the_square_with_black_beside_it(tmp_path):
    path = saved(tmp_path / "a.png", np.full((20, 40), 200, np.uint8))
    assert (read_image(path, 1, 40) == 200).all()
    kept = read_image(path, 1, 40, keep_aspect=True)[0]
    assert (kept[10:30] == 200).all()
    assert (kept[:10] == 0).all()
    assert (kept[30:] == 0).all()


@pytest.mark.parametrize(("height", "width"), [(20, 2000), (2000, 20), (1, 3000), (3000, 1)])
def test_keep_aspect_leaves_a_pixel_of_the_short_side_of_a_long_image(tmp_path, height, width):
    kept = read_image(saved(tmp_path / "a.png", np.full((height, width), 255, np.uint8)), 1, 28, keep_aspect=True)[0]
    wanted = np.zeros((28, 28), np.uint8)
    wanted[14 if height < width else slice(None), 14 if width < height else slice(None)] = 255
    assert np.array_equal(kept, wanted)


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (7, 100), (33, 1), (28, 27), (300, 300)])
def test_keep_aspect_has_the_bytes_of_pillow_s_pad(tmp_path, shape):
    pixels = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    padded = ImageOps.pad(Image.fromarray(pixels), (28, 28), Image.Resampling.BILINEAR, color=0)
    kept = read_image(saved(tmp_path / "a.png", pixels), 3, 28, keep_aspect=True)
    assert np.array_equal(kept, np.asarray(padded).transpose(2, 0, 1))


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bits_are_divided_by_257_whatever_the_range(tmp_path, kind):
    wide = np.array([[0, 257, 1000], [30000, 65000, 65535], [128, 129, 20000]], np.uint16)
    found, stored = read_stored(saved(tmp_path / f"a.{kind}", wide), 1, 3)
    assert np.array_equal(found[0], np.round(wide / 257))
    assert stored == 1


def test_one_bit_is_black_and_white(tmp_path):
    found = read_image(saved(tmp_path / "a.png", Image.fromarray(GREY[:20, :20]).convert("1", dither=0)), 1, 20)
    assert np.array_equal(found[0], np.where(GREY[:20, :20] >= 128, 255, 0))


def test_a_palette_is_looked_up(tmp_path):
    image = Image.fromarray(COLOURS).quantize(16)
    found = read_image(saved(tmp_path / "a.png", image), 3, 32)
    assert np.array_equal(found, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_what_is_transparent_is_laid_over_black(tmp_path):
    alpha = np.tile(np.array([0, 255], np.uint8), (32, 16))
    found = read_image(saved(tmp_path / "a.png", np.dstack([COLOURS, alpha])), 3, 32)
    assert np.array_equal(found, (COLOURS * (alpha == 255)[..., None]).transpose(2, 0, 1))


def test_the_orientation_in_exif_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = read_image(saved(tmp_path / "a.png", COLOURS, exif=exif), 3, 32)
    assert np.array_equal(turned, np.rot90(COLOURS, -1).transpose(2, 0, 1))


def cut(kind: str):
    def write(folder: Path) -> Path:
        path = saved(folder / f"a.{kind}", COLOURS)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return write


def raw(content: bytes):
    def write(folder: Path) -> Path:
        (folder / "a.png").write_bytes(content)
        return folder / "a.png"

    return write


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.png")
    return folder / "a.png"


@pytest.mark.parametrize(
    ("write", "says"),
    [
        *((cut(kind), r"cut off or damaged \(.*[Tt]runcated") for kind in ("png", "jpg", "bmp", "tif")),
        (raw(b""), r"empty \(0 bytes\)"),
        (raw(b"hello"), "no PNG, JPEG, BMP or TIFF image"),
        (raw(png_head(0, 5)), "no PNG, JPEG, BMP or TIFF image"),
        (raw(png_head(10_000, 10_000)), rf"too large \(10,000 x 10,000 pixels, at most {MOST_PIXELS:,} are read"),
        (raw(png_head(2**31 - 1, 2**31 - 1)), "too large"),
        (lambda folder: folder / "none.png", "no such file or directory"),
        (lambda folder: folder, "a folder"),
        (pipe, "no plain file"),
        (lambda folder: saved(folder / "a.gif", GREY), "no PNG, JPEG, BMP or TIFF image"),
        (lambda folder: saved(folder / "a.tif", GREY.astype(np.float32)), "of 32 bits a pixel"),
        (lambda folder: saved(folder / "a.tif", GREY.astype(np.int32)), "of 32 bits a pixel"),
        (
            lambda folder: saved(folder / "a.tif", GREY, save_all=True, append_images=[Image.fromarray(GREY)] * 2),
            r"of several pages or frames \(3",
        ),
    ],
)
def test_what_gives_no_image_says_why(tmp_path, write, says):
    with pytest.raises(Unreadable, match=f"^{says}"):
        read_image(write(tmp_path), 1, 28)


def test_a_damaged_stream_is_no_crash():
    """Bytes changed anywhere: an image or a reason, never another error."""
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).save(buffer, "TIFF", compression="tiff_lzw")
    content, draw = buffer.getvalue(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in draw.integers(0, len(content), 8):
            damaged[place] ^= int(draw.integers(1, 256))
        with contextlib.suppress(Unreadable):
            assert read_image(io.BytesIO(bytes(damaged)), 3, 32).shape == (3, 32, 32)
