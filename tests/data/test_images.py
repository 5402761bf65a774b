"""Images in memory: what is read, how it lies, and what is refused."""

from __future__ import annotations

import bz2

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from benchmark.config import DatasetConfig, UsageError
from benchmark.data import dataset_names, is_own, load_dataset_config
from benchmark.data.images import load_images, read_idx
from tests.conftest import IDX_NAMES, idx_bytes

MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]

TINY = "dataset=tiny --config-dir <the folder of its YAML>"  # it is none of ours


def test_tiny_files_arrive_as_they_are(tiny, tmp_path):
    tiny.write(tmp_path / "MNIST" / "raw")
    data = load_images(tiny.config(), tmp_path)
    found = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    for tensor, name in zip(found, IDX_NAMES, strict=True):
        assert np.array_equal(tensor.numpy().reshape(tiny.arrays[name].shape), tiny.arrays[name])
    assert [t.dtype for t in found] == [torch.uint8, torch.int64] * 2
    assert (data.name, data.class_names) == ("tiny", tuple(f"class {label}" for label in range(10)))


def test_version_follows_the_images_and_not_the_folder(tiny, tmp_path):
    for name in "ab":
        tiny.write(tmp_path / name / "MNIST" / "raw")
    first, second = (load_images(tiny.config(), tmp_path / name).version for name in "ab")
    assert first == second
    assert len(first) == 64
    config = tiny.config()
    pixels = tiny.arrays[IDX_NAMES[0]].copy()
    pixels[0, 0, 0] ^= 1
    (tmp_path / "b" / "MNIST" / "raw" / IDX_NAMES[0]).write_bytes(idx_bytes(pixels))
    from benchmark.data.files import sha256_of

    config.sha256[IDX_NAMES[0]] = sha256_of(tmp_path / "b" / "MNIST" / "raw" / IDX_NAMES[0])
    assert load_images(config, tmp_path / "b").version != first


def test_missing_file_is_named_with_the_command(tiny, tmp_path):
    tiny.write(tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "raw" / IDX_NAMES[2]).unlink()
    with pytest.raises(UsageError) as caught:
        load_images(tiny.config(), tmp_path)
    missing = tmp_path / "MNIST" / "raw" / IDX_NAMES[2]
    assert str(caught.value) == (
        f"data set tiny is not ready: {missing} is missing. Type: python -m benchmark.prepare {TINY}"
    )


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_corrupt_file_is_named_with_the_command(tiny, tmp_path, damage):
    tiny.write(tmp_path / "MNIST" / "raw")
    path = tmp_path / "MNIST" / "raw" / IDX_NAMES[0]
    content = path.read_bytes()
    path.write_bytes(content[:-100] if damage == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UsageError, match="is corrupt") as caught:
        load_images(tiny.config(), tmp_path)
    assert str(path) in str(caught.value)
    assert f"{path.stat().st_size:,} bytes" in str(caught.value)
    assert str(caught.value).endswith(f"Type: python -m benchmark.prepare {TINY}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0", b"<html>", idx_bytes(np.zeros((3, 2, 2)))[:-1], b"\0\0\x08\x03" + b"\0" * 3]
)
def test_malformed_idx_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError, match="no complete IDX file"):
        read_idx(tmp_path / "file")


def test_label_without_a_name_is_refused(tiny, tmp_path):
    tiny.write(tmp_path / "MNIST" / "raw")
    config = tiny.config()
    config.classes = config.classes[:9]
    with pytest.raises(UsageError, match="labels must be 0 to 8, the 9 names in its `classes`"):
        load_images(config, tmp_path)


def test_a_run_never_downloads(tiny, web, tmp_path):
    web.files = dict(tiny.files)
    with pytest.raises(UsageError, match="is missing"):
        load_images(tiny.config({"kind": "url", "url": web.url}), tmp_path)
    assert web.asked == {}
    assert not (tmp_path / "MNIST").exists()


@pytest.mark.parametrize("name", ["kmnist", "emnist_letters", "usps"])
def test_missing_torchvision_data_set_is_one_line_with_the_command(name, tmp_path):
    with pytest.raises(UsageError) as caught:
        load_images(load_dataset_config(name), tmp_path)
    assert str(caught.value) == (
        f"data set {name} is not in {tmp_path}. Type: python -m benchmark.prepare dataset={name}"
    )


def test_truncated_torchvision_file_is_one_line(tiny, tmp_path):
    tiny.write(tmp_path / "KMNIST" / "raw")
    path = tmp_path / "KMNIST" / "raw" / IDX_NAMES[0]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"kmnist in .*KMNIST/raw cannot be read .*benchmark.prepare") as caught:
        load_images(load_dataset_config("kmnist"), tmp_path)
    assert "\n" not in str(caught.value)


def test_emnist_letters_stand_upright_and_count_from_zero(tiny, tmp_path):
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    draw = np.random.default_rng(1).integers(0, 256, (26, 28, 28), dtype=np.uint8)
    for part in ("train", "test"):
        (raw / f"emnist-letters-{part}-images-idx3-ubyte").write_bytes(idx_bytes(draw))
        (raw / f"emnist-letters-{part}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(1, 27)))
    data = load_images(load_dataset_config("emnist_letters"), tmp_path)
    assert np.array_equal(data.train_images.squeeze(1).numpy(), draw.transpose(0, 2, 1))
    assert data.test_labels.tolist() == list(range(26))
    assert data.class_names[25] == "z"


def test_usps_is_resized_and_keeps_its_brightness(tmp_path):
    draw = np.random.default_rng(2).uniform(-1, 1, (20, 256))
    draw[0] = -1
    draw[1] = 1
    rows = [
        f"{i % 10 + 1} " + " ".join(f"{j + 1}:{value:.4f}" for j, value in enumerate(row)) for i, row in enumerate(draw)
    ]
    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / name).write_bytes(bz2.compress(("\n".join(rows) + "\n").encode()))
    data = load_images(load_dataset_config("usps"), tmp_path)
    assert tuple(data.train_images.shape) == (20, 1, 28, 28)
    assert data.train_labels.tolist() == [i % 10 for i in range(20)]
    assert data.train_images[0].unique().tolist() == [0]
    assert data.train_images[1].unique().tolist() == [255]
    assert abs(data.train_images[2:].float().mean().item() - (draw[2:].mean() + 1) / 2 * 255) < 3


def test_unknown_torchvision_class_is_one_line(tmp_path):
    content = {"name": "mine", "torchvision_class": "MINIST", "classes": ["a"]}
    config = OmegaConf.merge(OmegaConf.structured(DatasetConfig), OmegaConf.create(content))
    with pytest.raises(UsageError, match="torchvision_class=MINIST: torchvision has no such data set"):
        load_images(config, tmp_path)


def test_digits_need_no_files_and_are_split_by_class(tmp_path):
    from sklearn.datasets import load_digits

    data = load_images(load_dataset_config("digits"), tmp_path / "nowhere")
    assert tuple(data.train_images.shape[1:]) == (1, 28, 28)
    assert len(data.train_labels) + len(data.test_labels) == 1797
    whole = torch.bincount(torch.cat([data.train_labels, data.test_labels]))
    assert whole.tolist() == np.bincount(load_digits().target).tolist()
    share = torch.bincount(data.train_labels) / whole
    assert ((share > 0.68) & (share <= 0.70)).all()
    assert data.train_images.max() == 255
    original = load_digits().images[:1000].mean() / 16 * 255
    assert abs(data.train_images[:1000].float().mean().item() - original) < 3


def test_prepared_files_are_the_official_ones(data_dir):
    mnist = load_images(load_dataset_config("mnist"), data_dir)
    assert torch.bincount(mnist.test_labels).tolist() == MNIST_TEST_COUNTS
    fashion = load_images(load_dataset_config("fashion_mnist"), data_dir)
    assert torch.bincount(fashion.train_labels).tolist() == [6000] * 10
    assert torch.bincount(fashion.test_labels).tolist() == [1000] * 10
    assert (fashion.class_names[7], fashion.class_names[9]) == ("Sneaker", "Ankle boot")


@pytest.mark.parametrize(("name", "kind"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_torchvision_reads_the_prepared_folder_and_sees_the_same(data_dir, name, kind):
    import torchvision.datasets

    ours = load_images(load_dataset_config(name), data_dir)
    for train, images, labels in (
        (True, ours.train_images, ours.train_labels),
        (False, ours.test_images, ours.test_labels),
    ):
        theirs = getattr(torchvision.datasets, kind)(str(data_dir), train=train, download=False)
        assert torch.equal(theirs.data, images.squeeze(1))
        assert torch.equal(theirs.targets, labels)


@pytest.mark.parametrize("name", dataset_names())
def test_shipped_configuration_is_typed_and_begins_with_its_command(name):
    from benchmark.config import CONF_DIR

    config = load_dataset_config(name)
    assert config.name == (None if is_own(config) else name)
    assert is_own(config) or len(set(config.classes)) == len(config.classes) >= 2
    first = (CONF_DIR / "dataset" / f"{name}.yaml").read_text().splitlines()[0]
    assert first == f"# python -m benchmark dataset={name}" + (" dataset.path=~/parts" if is_own(config) else "")


def test_unknown_data_set_lists_what_exists():
    with pytest.raises(UsageError, match=r"dataset=cifar: there is no such dataset. There is: digits, .*mnist"):
        load_dataset_config("cifar")
