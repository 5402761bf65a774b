"""What is scored: folders, files, tables and arrays, in order and with their labels."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from benchmark.config import UsageError
from benchmark.data.reading import Unreadable
from benchmark.detect.sources import Source, find_source
from benchmark.detect.watching import Folder

SHAPE = (1, 28, 28)


def draw(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.full((28, 28), level, np.uint8)).save(path)


def levels(source: Source, size: int = 2) -> list[int | None]:
    """The grey level of each image, None for a bad one."""
    parts = list(source.read(SHAPE, False, None, size))
    assert all(len(part) == size for part in parts[:-1])
    return [None if isinstance(image, Unreadable) else int(image[0, 0, 0]) for part in parts for image in part]


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name, level in (("b.png", 2), ("a.PNG", 1), ("deep/c.bmp", 3), (".hidden/d.png", 4), (".e.png", 5)):
        draw(tmp_path / name, level)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    (tmp_path / "notes.txt").touch()
    source = find_source(tmp_path, SHAPE)
    assert [item.name for item in source.items] == [
        str(tmp_path / n) for n in ("a.PNG", "b.png", "broken.png", "deep/c.bmp")
    ]
    assert levels(source) == [1, 2, None, 3]
    assert source.labelled == ""


def test_class_folders_are_labels(tmp_path: Path) -> None:
    for name in ("good/1.png", "good/2.png", "cut/3.png", "cut/deep/4.png"):
        draw(tmp_path / name, 0)
    source = find_source(tmp_path, SHAPE)
    assert [item.label for item in source.items] == ["cut", "cut", "good", "good"]
    draw(tmp_path / "loose.png", 0)
    assert find_source(tmp_path, SHAPE).labelled == ""


def test_a_table_names_files_beside_it(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "=1+2.png", 7)
    draw(tmp_path / "b.png", 8)
    table = tmp_path / "list.csv"
    table.write_text("\ufeffPath;Labels\nimages/=1+2.png;good\n\nnone.png;\n" + f"{tmp_path / 'b.png'};bad\n")
    source = find_source(table, SHAPE)
    assert levels(source) == [7, None, 8]
    assert [item.label for item in source.items] == ["good", None, "bad"]


def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    before = Path.cwd()
    draw(tmp_path / "=1+2.png", 7)
    os.chdir(tmp_path)
    try:
        assert find_source(Path(), SHAPE).items[0].name == "./=1+2.png"
    finally:
        os.chdir(before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_arrays_are_rows_with_numbers(tmp_path: Path, dtype: type) -> None:
    images = np.stack([np.full((28, 28), level, dtype) for level in (0, 1, 1)])
    np.savez(tmp_path / "new.npz", images=images, label=np.array(["good", "good", "bad"]))
    source = find_source(tmp_path / "new.npz", SHAPE)
    assert levels(source) == [0, 255, 255] if dtype is np.float32 else [0, 1, 1]
    assert source.items[2] == (f"{tmp_path / 'new.npz'}[2]", "bad")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"a": np.zeros(3), "b": np.zeros(3)}, "has no array images; it has: a, b"),
        ({"images": np.zeros((2, 9, 9), np.uint8)}, "images of 9 x 9, but the cell is for images of 1 x 28 x 28"),
        ({"images": np.zeros(5)}, "which are no images"),
        ({"images": np.full((2, 28, 28), 9.0)}, "pixels from 9 to 9: floats are taken for 0"),
        ({"images": np.full((2, 28, 28), np.nan)}, "numbers that are not finite"),
        ({"images": np.zeros((2, 28, 28)), "labels": np.zeros(3)}, r"2 images, but labels of shape \(3,\)"),
        ({"images": np.array([{}, {}])}, "cannot be read as arrays"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:
    np.savez(tmp_path / "new.npz", **arrays)
    with pytest.raises(UsageError, match=says):
        find_source(tmp_path / "new.npz", SHAPE)


def test_files_are_of_square_images(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    with pytest.raises(UsageError, match="this detector is for images of 8 x 32 x 32"):
        find_source(tmp_path, (8, 32, 32))


def test_a_folder_that_fills_hands_out_each_image_once_and_whole(tmp_path: Path) -> None:
    draw(tmp_path / "known.png", 1)
    draw(tmp_path / "a.png", 1)
    folder = Folder(tmp_path, {str(tmp_path / "known.png")})

    def found() -> list[str]:
        source = folder.settled()
        return [] if source is None else [path.name for path in source.paths]

    assert found() == []  # seen for the first time
    draw(tmp_path / "b.png", 1)
    assert found() == ["a.png"]
    with (tmp_path / "b.png").open("ab") as file:  # still being written
        file.write(b"more")
    time.sleep(0.01)
    assert found() == []
    assert found() == ["b.png"]
    assert found() == []
