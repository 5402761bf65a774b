"""Somebody's own images: the layouts they lie in, what becomes of each, and the cache."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.config import UsageError
from benchmark.data import dataset_names, load_dataset_config
from benchmark.data.cache import Way, version_of
from benchmark.data.folder import complete
from benchmark.data.images import ImageData, load_images
from benchmark.data.layouts import find, in_order

PNG = np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8)  # a picture a number
SIZE = 28


def write(folder: Path, numbers: Any, colours: bool = False) -> Path:
    """PNG files of some of the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image = Image.fromarray(PNG[number])
        (image.convert("RGB") if colours else image).save(folder / f"{number}.png")
    return folder


def classes(folder: Path) -> Path:
    for first, name in enumerate(("10", "2", "good")):
        write(folder / name, range(20 * first, 20 * first + 20))
    return folder


def mvtec(folder: Path) -> Path:
    write(folder / "train" / "good", range(30))
    for first, name in enumerate(("crack", "good", "scratch")):
        write(folder / "test" / name, range(30 + 5 * first, 35 + 5 * first))
    write(folder / "ground_truth" / "crack", range(30, 35))
    return folder


def own(path: Path, folder: Path, **settings: Any) -> tuple[Any, ImageData, str]:
    """The completed configuration, the images, and what is said."""
    config = load_dataset_config("folder")
    for key, value in {"path": str(path), "image_size": SIZE, **settings}.items():
        config[key] = value
    said = complete(config, folder)
    assert said is not None
    assert said.count("\n") == 0
    return config, load_images(config, folder), said


def numbers(images: torch.Tensor) -> set[int]:
    """Which pictures these are."""
    large = np.stack([np.asarray(Image.fromarray(p).resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for p in PNG])
    known = {image.tobytes(): number for number, image in enumerate(large)}
    return {known[image.numpy()[0].tobytes()] for image in images}


def refused(path: Path, folder: Path, **settings: Any) -> str:
    with pytest.raises(UsageError) as caught:
        own(path, folder, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_class_folders_are_split_by_their_content(tmp_path):
    config, data, said = own(classes(tmp_path / "parts"), tmp_path / "data")
    assert data.class_names == tuple(config.classes) == ("2", "10", "good")
    assert data.train_labels.bincount().tolist() == [14] * 3
    assert data.test_labels.bincount().tolist() == [6] * 3
    assert data.train_images.shape == (42, 1, SIZE, SIZE)
    assert numbers(data.train_images) | numbers(data.test_images) == set(range(60))
    assert numbers(data.train_images[data.train_labels == 1]) < set(range(20))
    assert "class folders (70% of each class train, by a hash of their content), 3 classes (2, 10, good); 42 tr" in said


def test_the_split_is_that_of_the_pictures_whatever_they_are_called(tmp_path):
    first = own(classes(tmp_path / "parts"), tmp_path / "data")[1]
    for number, path in enumerate(sorted((tmp_path / "parts" / "good").iterdir())):
        path.rename(path.with_name(f"x{number}.PNG"))
    other = own(tmp_path / "parts", tmp_path / "data")[1]
    assert other.version == first.version
    write(tmp_path / "parts" / "2", [399])  # one more of one class moves no picture of the others
    more = own(tmp_path / "parts", tmp_path / "data")[1]
    assert more.version != first.version
    for label in (1, 2):
        before, now = (found.train_images[found.train_labels == label] for found in (first, more))
        assert torch.equal(before, now)


def test_mvtec_s_layout(tmp_path):
    config, data, said = own(mvtec(tmp_path / "bottle"), tmp_path / "data")
    assert (config.name, data.class_names) == ("bottle", ("crack", "good", "scratch"))
    assert data.train_labels.tolist() == [1] * 30
    assert numbers(data.train_images) == set(range(30))
    for label in range(3):
        assert numbers(data.test_images[data.test_labels == label]) == set(range(30 + 5 * label, 35 + 5 * label))
    assert "train/good and test/CLASS, 3 classes" in said
    assert "not looked into: ground_truth/" in said


def test_train_and_test_of_several_classes(tmp_path):
    for split, first in (("train", 0), ("test", 100)):
        for label in range(2):
            write(tmp_path / "parts" / split / f"c{label}", range(first + 20 * label, first + 20 * label + 12))
    data, said = own(tmp_path / "parts", tmp_path / "data")[1:]
    assert (data.train_labels.tolist(), data.test_labels.tolist()) == ([0] * 12 + [1] * 12,) * 2
    assert "train/CLASS and test/CLASS" in said


@pytest.mark.parametrize("below", ["", "good"])
def test_good_images_alone_have_no_test_images(tmp_path, below):
    write(tmp_path / "parts" / below, range(20))
    config, data, said = own(tmp_path / "parts", tmp_path / "data")
    assert data.class_names == ("good",)
    assert (data.train_images.shape, data.test_images.shape) == ((20, 1, SIZE, SIZE), (0, 1, SIZE, SIZE))
    assert (data.test_labels.dtype, len(data.test_labels)) == (torch.int64, 0)
    assert "20 training and 0 test images" in said
    assert config.name == "parts"


def test_what_is_hidden_or_no_image_is_passed_over(tmp_path):
    parts = write(tmp_path / "parts", range(12))
    for name in (".DS_Store", "._0.png", "notes.txt", ".cache/1.png", "__MACOSX/1.png"):
        (parts / name).parent.mkdir(exist_ok=True)
        (parts / name).write_bytes(b"x")
    said = own(parts, tmp_path / "data")[2]
    assert "12 training" in said
    assert "not looked into" not in said


def table(path: Path, rows: list[list[str]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_csv_with_splits(tmp_path, delimiter):
    parts = write(tmp_path / "parts", range(20))
    rows = [["Split", " label ", "path"]]
    rows += [["train" if n < 15 else "test", "ok" if n < 17 else "not ok", f"parts/{n}.png"] for n in range(19)]
    rows += [["test", "not ok", str(parts / "19.png")], []]
    data = own(table(tmp_path / "list.csv", rows, delimiter), tmp_path / "data")[1]
    assert (data.name, data.class_names) == ("list", ("not ok", "ok"))
    assert numbers(data.train_images) == set(range(15))
    assert numbers(data.test_images[data.test_labels == 1]) == {15, 16}
    assert numbers(data.test_images[data.test_labels == 0]) == {17, 18, 19}


def test_a_csv_without_splits_is_split_as_class_folders_are(tmp_path):
    folder = own(classes(tmp_path / "parts"), tmp_path / "data", name="same")[1]
    files = sorted((tmp_path / "parts").rglob("*.png"), reverse=True)
    rows = [["path", "label"], *([str(path), path.parent.name] for path in files)]
    listed = own(table(tmp_path / "list.csv", rows), tmp_path / "data", name="same")[1]
    assert listed.version == folder.version


@pytest.mark.parametrize("shape", ["(N, H, W)", "(N, H, W, 1)", "(N, 1, H, W)"])
def test_arrays_of_one_class(tmp_path, shape):
    images = {"(N, H, W)": PNG[:15], "(N, H, W, 1)": PNG[:15, ..., None], "(N, 1, H, W)": PNG[:15, None]}[shape]
    np.savez(tmp_path / "a.npz", images=images)
    data = own(tmp_path / "a.npz", tmp_path / "data")[1]
    assert (data.class_names, len(data.test_images)) == (("good",), 0)
    assert numbers(data.train_images) == set(range(15))


def test_arrays_with_labels_and_splits(tmp_path):
    labels = np.array([7] * 12 + [3] * 12)
    wide = PNG[:24].astype(np.uint16) * 257
    np.savez(tmp_path / "a.npz", train_images=wide, train_labels=labels, test_images=PNG[30:33], test_labels=[3, 7, 3])
    data = own(tmp_path / "a.npz", tmp_path / "data")[1]
    assert data.class_names == ("3", "7")
    assert numbers(data.train_images[data.train_labels == 1]) == set(range(12))
    assert numbers(data.test_images[data.test_labels == 0]) == {30, 32}
    np.savez(tmp_path / "b.npz", images=PNG[:40], labels=np.array(["a", "b"] * 20))
    split = own(tmp_path / "b.npz", tmp_path / "data")[1]
    assert (split.class_names, len(split.train_images), len(split.test_images)) == (("a", "b"), 28, 12)


def test_colours_are_kept_where_all_have_them_or_are_asked_for(tmp_path):
    write(tmp_path / "parts", range(12), colours=True)
    config, data, said = own(tmp_path / "parts", tmp_path / "data")
    assert (data.train_images.shape[1], config.channels) == (3, 3)
    assert "RGB" in said
    grey = own(tmp_path / "parts", tmp_path / "data", channels=1)[1]
    assert numbers(grey.train_images) == set(range(12))


def test_grey_among_colours_is_a_fault_unless_one_kind_is_asked_for(tmp_path):
    parts = write(write(tmp_path / "parts", range(15), colours=True), [20, 21])
    said = refused(parts, tmp_path / "data")
    assert "2 faults in 17 images: grey where most are in colours (dataset.channels=1 or 3 makes all alike): " in said
    assert "20.png, 21.png" in said
    assert len(own(parts, tmp_path / "data", channels=3)[1].train_images) == 17
    assert len(own(parts, tmp_path / "data", on_bad="skip")[1].train_images) == 15


def damaged(folder: Path) -> Path:
    """A folder with a fault of many kinds."""
    parts = mvtec(folder)
    good = parts / "train" / "good"
    (good / "0.png").write_bytes(b"")
    (good / "1.png").write_bytes((good / "2.png").read_bytes()[:60])
    for number in (3, 4, 5, 6, 7):
        (good / f"{number}.png").write_bytes(b"text")
    shutil.copy(good / "10.png", parts / "test" / "crack" / "again.png")
    write(parts / "train" / "rare", [90, 91])
    write(parts / "train", [92])
    return parts


def test_all_faults_are_listed_at_once_in_one_line(tmp_path):
    said = refused(damaged(tmp_path / "parts"), tmp_path / "data")
    for part in (
        "parts: 10 faults in 49 images: beside the class folders (in none of them): train/92.png; ",
        "empty (0 bytes): train/good/0.png; ",
        "cut off or damaged (image file is truncated): train/good/1.png; ",
        "no PNG, JPEG, BMP or TIFF image: train/good/3.png, train/good/4.png, train/good/5.png and 2 more; ",
        "the same picture as a training image (train/good/10.png): test/crack/again.png; ",
        "fewer than 10 training images (2): class rare. Put them right, or type dataset.on_bad=skip",
    ):
        assert part in said


def test_skip_leaves_them_out_and_names_them(tmp_path):
    config, data, said = own(damaged(tmp_path / "parts"), tmp_path / "data", on_bad="skip")
    assert numbers(data.train_images) == {2, *range(8, 30)}
    assert numbers(data.test_images) == set(range(30, 45))
    assert data.class_names == ("crack", "good", "scratch")
    assert "left out 10 of 49: beside the class folders" in said
    assert "train/good/0.png: empty (0 bytes)" in config.skipped
    assert len(config.skipped) == 10


def test_a_record_names_a_few_of_many(tmp_path):
    parts = write(tmp_path / "parts", range(12))
    for number in range(50):
        (parts / f"bad{number:02}.png").write_bytes(b"")
    skipped = own(parts, tmp_path / "data", on_bad="skip")[0].skipped
    assert (len(skipped), skipped[-1]) == (21, "and 30 more")


def test_a_class_with_too_few_images_is_tested_only(tmp_path):
    parts = classes(tmp_path / "parts")
    write(parts / "rare", range(100, 105))
    assert "fewer than 10 training images (4): class rare" in refused(parts, tmp_path / "data")
    data = own(parts, tmp_path / "data", on_bad="skip")[1]
    assert data.class_names == ("2", "10", "good", "rare")
    assert numbers(data.test_images[data.test_labels == 3]) == set(range(100, 105))
    assert 3 not in data.train_labels


def test_copies_of_a_picture_stay_together(tmp_path):
    parts = classes(tmp_path / "parts")
    for copy in range(3):
        for number in range(20):
            shutil.copy(parts / "2" / f"{20 + number}.png", parts / "2" / f"{number}-{copy}.png")
    data = own(parts, tmp_path / "data")[1]
    assert not numbers(data.train_images) & numbers(data.test_images)


def test_without_any_image_to_train_on_skip_is_no_way_out(tmp_path):
    parts = write(tmp_path / "parts", range(5))
    assert "parts: no class has 10 images to train on: fewer than 10 training images (5): class good" in refused(
        parts, tmp_path / "data", on_bad="skip"
    )


# The cache


def test_a_moved_folder_has_the_same_version(tmp_path):
    first = own(classes(tmp_path / "a" / "parts"), tmp_path / "data")[1]
    (tmp_path / "b").mkdir()
    shutil.move(tmp_path / "a" / "parts", tmp_path / "b" / "parts")
    second = own(tmp_path / "b" / "parts", tmp_path / "data")[1]
    assert second.version == first.version
    assert own(tmp_path / "b" / "parts", tmp_path / "data", image_size=32)[1].version != first.version
    assert own(tmp_path / "b" / "parts", tmp_path / "data", name="other")[1].version != first.version


def images_file(folder: Path) -> Path:
    (found,) = (folder / "folder").glob("*/images/images.npy")
    return found


def test_the_cache_is_used_again_until_a_file_changes(tmp_path):
    parts = classes(tmp_path / "parts")
    data, said = own(parts, tmp_path / "data")[1:]
    assert "; read into " in said
    before = os.stat(images_file(tmp_path / "data"))
    assert "; read into " not in own(parts, tmp_path / "data")[2]
    path = parts / "good" / "40.png"
    os.utime(path, ns=(1, 1))  # another time of change, the same content
    assert "; read into " not in own(parts, tmp_path / "data")[2]
    assert os.stat(images_file(tmp_path / "data")).st_ino == before.st_ino
    noted = json.loads(images_file(tmp_path / "data").with_name("files.json").read_text())["files"]
    assert noted[str(path)][1] == 1
    Image.fromarray(PNG[350]).save(path)
    changed, said = own(parts, tmp_path / "data")[1:]
    assert "; read into " in said
    assert changed.version != data.version
    assert 350 in numbers(changed.train_images) | numbers(changed.test_images)


def test_a_change_that_keeps_size_and_time_is_found_and_without_any_sign_by_a_thorough_look(tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in range(12):
        Image.fromarray(PNG[number]).save(parts / f"{number}.bmp")
    first = own(parts, tmp_path / "data")[0].content
    then = os.stat(parts / "3.bmp")
    Image.fromarray(PNG[99]).save(parts / "3.bmp")
    os.utime(parts / "3.bmp", ns=(then.st_atime_ns, then.st_mtime_ns))
    second = own(parts, tmp_path / "data")[0].content
    assert second != first
    Image.fromarray(PNG[98]).save(parts / "3.bmp")
    there, noted = os.stat(parts / "3.bmp"), images_file(tmp_path / "data").with_name("files.json")
    content = json.loads(noted.read_text())
    content["files"][str(parts / "3.bmp")][1:3] = there.st_mtime_ns, there.st_ctime_ns  # as if nothing had changed
    noted.write_text(json.dumps(content))
    assert own(parts, tmp_path / "data")[0].content == second
    again = load_dataset_config("folder")
    again.path, again.image_size = str(parts), SIZE
    assert "; read into " in str(complete(again, tmp_path / "data", thorough=True))
    assert again.content != second


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_be_read_now_is(tmp_path):
    parts = write(tmp_path / "parts", range(12))
    (parts / "3.png").chmod(0)
    assert "permission denied: 3.png" in refused(parts, tmp_path / "data")
    (parts / "3.png").chmod(0o600)
    assert len(own(parts, tmp_path / "data")[1].train_images) == 12


def test_images_are_mapped_and_not_copied(tmp_path):
    data = own(mvtec(tmp_path / "parts"), tmp_path / "data")[1]
    file = str(images_file(tmp_path / "data"))
    ranges = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if file in line]
    for images in (data.train_images, data.test_images):
        assert any(int(first, 16) <= images.data_ptr() < int(last, 16) for first, last in ranges)


def test_a_damaged_cache_is_read_again_and_never_used(tmp_path, capsys):
    parts = classes(tmp_path / "parts")
    config, data, _ = own(parts, tmp_path / "data")
    before = data.train_images.clone()
    path = images_file(tmp_path / "data")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    load_images.__globals__["_load"].cache_clear()
    found = load_images(config, tmp_path / "data")
    assert torch.equal(found.train_images, before)
    assert "its images are damaged; they are read again" in capsys.readouterr().err
    content = bytearray(images_file(tmp_path / "data").read_bytes())
    images_file(tmp_path / "data").write_bytes(content[:-100])
    load_images.__globals__["_load"].cache_clear()
    assert torch.equal(load_images(config, tmp_path / "data").train_images, before)


def test_images_that_changed_since_are_refused(tmp_path):
    """A job that was planned with other images than there are now: never those, never silently."""
    parts = classes(tmp_path / "parts")
    config = own(parts, tmp_path / "data")[0]
    write(parts / "good", [300])
    own(parts, tmp_path / "data")
    load_images.__globals__["_load"].cache_clear()
    with pytest.raises(UsageError, match="its images are others than they were"):
        load_images(config, tmp_path / "data")


def test_the_cache_is_enough_where_the_folder_is_gone(tmp_path):
    parts = classes(tmp_path / "parts")
    config, data, _ = own(parts, tmp_path / "data")
    shutil.rmtree(parts)
    load_images.__globals__["_load"].cache_clear()
    assert torch.equal(load_images(config, tmp_path / "data").train_images, data.train_images)


def test_what_a_killed_process_left_goes(tmp_path):
    parts = classes(tmp_path / "parts")
    own(parts, tmp_path / "data")
    place = images_file(tmp_path / "data").parents[1]
    (place / f".read.{32 * 'a'}.tmp").write_bytes(b"x")
    (place / f".images.{32 * 'b'}.tmp").mkdir()
    write(parts / "good", [300])
    own(parts, tmp_path / "data")
    assert sorted(path.name for path in place.iterdir()) == [".prepare.lock", "images"]


# Names and settings


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My parts, 2024 (v1)", "My_parts_2024_v1"), ("mnist", "my_mnist"), ("...", "my_images"), ("größe", "größe")],
)
def test_the_name_is_the_folder_s_as_a_plain_one(tmp_path, folder, name):
    write(tmp_path / folder, range(12))
    assert own(tmp_path / folder, tmp_path / "data")[0].name == name


def test_a_name_of_a_shipped_data_set_is_refused(tmp_path):
    write(tmp_path / "parts", range(12))
    for name in set(dataset_names()) - {"folder"}:
        assert f"dataset.name={name} is the name of another data set" in refused(
            tmp_path / "parts", tmp_path / "data", name=name
        )


@pytest.mark.parametrize("size", [28, 128])
def test_sizes_that_are_allowed(tmp_path, size):
    write(tmp_path / "parts", range(12))
    assert own(tmp_path / "parts", tmp_path / "data", image_size=size)[1].image_shape == (1, size, size)


def test_a_folder_of_such_folders_says_which_to_type(tmp_path):
    mvtec(tmp_path / "all" / "bottle")
    with pytest.raises(UsageError, match=rf"Type dataset.path={tmp_path}/all/bottle$"):
        find(tmp_path / "all")


@pytest.mark.parametrize("name", ["${oc.env:HOME}", "???"])
def test_a_class_name_that_a_configuration_would_look_up_is_refused(tmp_path, name):
    write(tmp_path / "parts" / name, range(20))
    write(tmp_path / "parts" / "good", range(20, 40))
    said = refused(tmp_path / "parts", tmp_path / "data")
    assert f"class {name}" in said
    assert "not allowed, as a class name must be without ${, and not ???" in said


def test_all_that_can_be_told_before_reading_is_said_at_once(tmp_path):
    """Names of classes that cannot be, with the lines of a CSV that cannot, and with the path that was typed."""
    folder = write(tmp_path / "parts", range(40))
    rows = [["path", "label", "split"], *([f"parts/{number}.png", "good", "train"] for number in range(12))]
    labels = ["a,b [c]", "-x", "Good", "=y"]
    rows += [[f"parts/{20 + place}.png", label, "test"] for place, label in enumerate(labels)]
    path = table(tmp_path / "list.csv", [*rows, ["parts/30.png", "good", "valid"], ["parts/31.png", "a", "b", "test"]])
    for on_bad in ("stop", "skip"):
        said = refused(path, tmp_path / "data", on_bad=on_bad)
        assert said.startswith(f"dataset.path={tmp_path}/list.csv: 6 faults that can be told before an image is read: ")
        for part in (
            "without brackets [ ] < > and control characters: class -x, class =y, class a,b [c]; ",
            "differing in capitals alone: classes Good and good; ",
            "of no split that there is (valid; train and test are): parts/30.png; ",
            "(4, not 3): line 19. Give the classes other names",
        ):
            assert part in said
    assert not (tmp_path / "data").exists()
    assert folder.is_dir()


def test_the_line_of_a_csv_is_that_of_the_file_and_empty_cells_are_none(tmp_path):
    write(tmp_path / "parts", range(12))
    lines = ["path,label,note", *(f"parts/{number}.png,good,,," for number in range(12))]
    lines += ['parts/12.png,good,"two', 'lines"', "", "parts/13.png,good,bad,"]
    (tmp_path / "list.csv").write_text("\n".join([*lines, "parts/14.png,good,bad,worse"]), encoding="utf-8")
    found = find(tmp_path / "list.csv")
    assert len(found.items) == 14
    assert [name for name, _ in found.faults] == ["line 18"]


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_labels_of_bool_are_the_classes_0_and_1(tmp_path, dtype):
    np.savez(tmp_path / "a.npz", images=PNG[:40], labels=(np.arange(40) % 2).astype(dtype))
    assert own(tmp_path / "a.npz", tmp_path / "data")[1].class_names == ("0", "1")


def test_a_folder_with_a_new_line_in_its_name_is_said_in_one_line(tmp_path):
    config, data, said = own(write(tmp_path / "a\nb", range(12)), tmp_path / "data")
    assert said.startswith(f"dataset=folder: {tmp_path}/a\\nb: a flat folder of good images")
    assert (config.path, len(data.train_images)) == (f"{tmp_path}/a\nb", 12)


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("train", "TEST"), ("TRAIN", "test")])
@pytest.mark.parametrize("below", ["good", "."])
def test_capitals_of_train_and_test_are_said(tmp_path, train, test, below):
    write(tmp_path / "parts" / train / below, range(12))
    write(tmp_path / "parts" / test / below, range(20, 25))
    odd = [name for name in sorted((train, test)) if name not in ("train", "test")]
    assert f"parts: {'/ and '.join(odd)}/ must be in small letters to be what is trained on or tested" in refused(
        tmp_path / "parts", tmp_path / "data"
    )


def test_a_class_can_be_called_train_in_capitals(tmp_path):
    write(tmp_path / "parts" / "Train", range(20))
    write(tmp_path / "parts" / "good", range(20, 40))
    assert own(tmp_path / "parts", tmp_path / "data")[1].class_names == ("Train", "good")


def test_without_training_images_where_they_are_looked_for_that_is_said(tmp_path):
    write(tmp_path / "parts" / "train" / "good" / "sub", range(12))
    said = refused(tmp_path / "parts", tmp_path / "data")
    assert "Not looked into: train/good/sub/. Put the images into the class folders themselves" in said
    write(tmp_path / "parts" / "test" / "good", range(20, 25))
    assert "(good): images are not looked for in deeper folders (train/good/sub/). Put them" in refused(
        tmp_path / "parts", tmp_path / "data"
    )
    nothing = {"train_images": PNG[:0], "train_labels": np.zeros(0, int)}
    np.savez(tmp_path / "a.npz", **nothing, test_images=PNG[:5], test_labels=np.zeros(5, int))
    assert "train_images has no images" in refused(tmp_path / "a.npz", tmp_path / "data")


def test_a_bad_file_that_a_configuration_would_look_up_is_named(tmp_path):
    (classes(tmp_path / "parts") / "good" / "${foo}.png").write_bytes(b"text")
    config, _, _ = own(tmp_path / "parts", tmp_path / "data", on_bad="skip")
    assert list(config.skipped) == ["good/\\x24{foo}.png: no PNG, JPEG, BMP or TIFF image"]


def test_a_path_that_a_configuration_would_look_up_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(classes(tmp_path / "x${oc.env:HOME}y"))
    assert "must be without ${" in refused(tmp_path / "link", tmp_path / "data")


def test_a_renamed_class_is_another_version_and_a_moved_folder_is_not(tmp_path):
    first = own(classes(tmp_path / "parts"), tmp_path / "data")[1]
    moved = tmp_path / "elsewhere" / "parts"
    shutil.copytree(tmp_path / "parts", moved)
    assert own(moved, tmp_path / "other")[1].version == first.version
    (moved / "2").rename(moved / "3")
    renamed = own(moved, tmp_path / "other")[1]
    assert renamed.class_names == ("3", "10", "good")
    assert renamed.version != first.version
    assert torch.equal(renamed.train_images, first.train_images)


@pytest.mark.parametrize("names", [[], ["10", "2", "good"]])
def test_a_cache_that_was_edited_by_hand_is_read_again(tmp_path, names):
    first = own(classes(tmp_path / "parts"), tmp_path / "data")[1]
    (path,) = (tmp_path / "data").rglob("about.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "classes": names}))
    again = own(tmp_path / "parts", tmp_path / "data")[1]
    assert (again.class_names, again.version) == (first.class_names, first.version)


def test_arrays_that_change_while_they_are_read_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez(path, images=PNG[:40], labels=np.arange(40) % 2)
    found = find(path)
    np.savez(path, images=PNG[40:80], labels=1 - np.arange(40) % 2)
    monkeypatch.setattr("benchmark.data.folder.find", lambda _: found)
    assert "a.npz changed while it was read. Type the command again" in refused(path, tmp_path / "data")


@pytest.mark.parametrize("keep_aspect", [False, True])
def test_a_cache_of_before_long_images_were_kept_is_not_used_and_others_are(tmp_path, keep_aspect):
    way = Way("parts", tmp_path, SIZE, None, keep_aspect)
    key = hashlib.sha256(json.dumps([2, "parts", str(tmp_path), "28", "None", str(keep_aspect)]).encode())
    before = tmp_path / "folder" / f"parts-{key.hexdigest()[:12]}"
    assert (way.place(tmp_path) == before) is not keep_aspect


def test_numbers_of_any_length_are_ordered():
    assert in_order(["9" * 5000, "a", "10", "02", "1"]) == ["1", "02", "10", "9" * 5000, "a"]


def test_odd_separators_are_part_of_a_name(tmp_path):
    folder = write(tmp_path / "parts", range(12))
    lines = ["path,label"]
    for number, odd in enumerate(["\u2028", "\u0085", "\x0b", *"abcdefghi"]):
        (folder / f"{number}.png").rename(folder / f"{number}{odd}.png")
        lines.append(f"parts/{number}{odd}.png,good")
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    found = find(tmp_path / "list.csv")
    assert len(found.items) == 12
    assert all(item.path.exists() for item in found.items)


def test_a_record_of_before_class_names_counted_finds_its_images(tmp_path):
    config, data, _ = own(classes(tmp_path / "parts"), tmp_path / "data")
    arrays = [data.train_images, data.train_labels, data.test_images, data.test_labels]
    config.content = version_of("parts", [array.numpy() for array in arrays])
    assert torch.equal(load_images(config, tmp_path / "data").train_images, data.train_images)
    config.classes = ["3", "10", "good"]
    with pytest.raises(UsageError, match="its images are others than they were"):
        load_images(config, tmp_path / "data")
