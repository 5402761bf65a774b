"""What is scored: folders, files, tables and arrays, in order and with their labels."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import PIL.Image
import pytest

from benchmark.config import UsageError
from benchmark.data.arrays import Arrays
from benchmark.data.files import typed_path
from benchmark.data.reading import Unreadable
from benchmark.detect.files import read_folder
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


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    for name in ("new/good/1.png", "elsewhere/2.png", "elsewhere/deep/3.png"):
        draw(tmp_path / name, 0)
    (tmp_path / "new" / "cut").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "new" / "dent").symlink_to(tmp_path / "elsewhere")  # the same folder twice is no circle
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "new")
    (tmp_path / "elsewhere" / "itself").symlink_to(tmp_path / "elsewhere")
    source = find_source(tmp_path / "new", SHAPE)
    found = [str(path.relative_to(tmp_path / "new")) for path in source.paths]
    assert found == ["cut/2.png", "cut/deep/3.png", "dent/2.png", "dent/deep/3.png", "good/1.png"]
    assert [item.label for item in source.items] == ["cut", "cut", "dent", "dent", "good"]


@contextmanager
def not_root() -> Iterator[None]:
    """Be somebody to whom permissions mean something."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_a_folder_that_cannot_be_looked_into_is_a_fault() -> None:
    with TemporaryDirectory() as text:
        folder = Path(text)
        folder.chmod(0o755)
        draw(folder / "good" / "1.png", 0)
        draw(folder / "cut" / "2.png", 0)
        (folder / "cut").chmod(0)
        says = f"{folder / 'cut'} cannot be looked into \\(permission denied\\). Give yourself the right"
        with not_root():
            with pytest.raises(UsageError, match=f"images={folder}: {says}"):
                find_source(folder, SHAPE)
            with pytest.raises(UsageError, match=says):
                read_folder(folder, SHAPE)
            looks = Folder(folder)
            assert looks.settled() is None
            source = looks.settled()
            assert source is not None
            assert [path.name for path in source.paths] == ["1.png"]
            assert len(looks.faults) == 1
        (folder / "cut").chmod(0o755)


def test_a_table_names_files_beside_it(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "=1+2.png", 7)
    draw(tmp_path / "b.png", 8)
    table = tmp_path / "list.csv"
    table.write_text("\ufeffPath;Labels\nimages/=1+2.png;good\n\nnone.png;\n" + f"{tmp_path / 'b.png'};bad\n")
    source = find_source(table, SHAPE)
    assert levels(source) == [7, None, 8]
    assert [item.label for item in source.items] == ["good", None, "bad"]


def test_a_label_with_a_comma_is_never_cut(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 7)
    table = tmp_path / "list.csv"
    table.write_text('path,label\na.png,"a,b"\na.png,good,\n')  # empty cells at the end are of spreadsheets
    assert [item.label for item in find_source(table, SHAPE).items] == ["a,b", "good"]
    table.write_text("path,label\na.png,good\n\na.png,a,b\n")
    with pytest.raises(UsageError, match="line 4 has 3 cells, and the first line names 2"):
        find_source(table, SHAPE)


def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    before = Path.cwd()
    draw(tmp_path / "=1+2.png", 7)
    os.chdir(tmp_path)
    try:
        assert find_source(Path(), SHAPE).items[0].name == "./=1+2.png"
    finally:
        os.chdir(before)


@pytest.mark.parametrize("label", ["=1+2", "-cmd", "@x", "+1"])
def test_a_label_is_no_formula_either(tmp_path: Path, label: str) -> None:
    draw(tmp_path / label / "1.png", 0)
    draw(tmp_path / "-1" / "2.png", 0)  # scikit-learn's anomaly
    with pytest.raises(UsageError, match="is what a spreadsheet takes for a formula"):
        find_source(tmp_path, SHAPE)
    (tmp_path / label).rename(tmp_path / "1")
    assert [item.label for item in find_source(tmp_path, SHAPE).items] == ["-1", "1"]


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


def of_kind(path: Path, kind: str) -> None:
    """An .npz that is broken in one of many ways."""
    images = np.zeros((5, 28, 28), np.uint8)
    if kind == "array":
        with path.open("wb") as file:
            np.save(file, images)
        return
    np.savez_compressed(path, images=np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    if kind == "encrypted":
        content[6] |= 1
        content[directory + 8] |= 1
    elif kind == "packed in an unknown way":
        content[8] = content[directory + 10] = 99
    elif kind == "damaged":
        content[100:130] = b"\xff" * 30
    path.write_bytes(content)
    if kind in ("enormous", "no head"):
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (10**15, 28, 28)})
        text = head.getvalue() if kind == "enormous" else head.getvalue().replace(b"{", b"(")
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("images.npy", text + images.tobytes())


@pytest.mark.parametrize("kind", ["array", "encrypted", "packed in an unknown way", "damaged", "enormous", "no head"])
def test_broken_arrays_are_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    of_kind(tmp_path / "a.npz", kind)
    for read in (lambda path: find_source(path, SHAPE), lambda path: Arrays(path, "images").images):
        with pytest.raises(UsageError, match=r"a\.npz cannot be read as") as caught:
            read(tmp_path / "a.npz")
        assert "\n" not in str(caught.value)


def test_paths_that_no_file_can_have_are_named_in_the_table(tmp_path: Path) -> None:
    draw(tmp_path / "a\u2028b.png", 7)
    names = ["a\u2028b.png", "~nobody_here/x.png", "a\0b.png", "x" * 300 + ".png", '"c\rd.png"']
    (tmp_path / "list.csv").write_text("path\n" + "\n".join(names), encoding="utf-8", newline="")
    source = find_source(tmp_path / "list.csv", SHAPE)
    assert levels(source) == [7, None, None, None, None]
    assert source.items[4].name == str(tmp_path / "c\\rd.png")


@pytest.mark.parametrize("typed", ["~nobody_here/x", "x" * 300])
def test_a_path_that_cannot_be_is_refused(typed: str) -> None:
    for key in ("cell", "images", "out"):
        with pytest.raises(UsageError, match=f"{key}=.* path"):
            typed_path(typed, key)
    assert typed_path("none", "cell") == Path("none")
