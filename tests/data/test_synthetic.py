"""Anomalies made from normal images: what each kind does to an image, that all differ, and what they are drawn from."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from benchmark import Detector
from benchmark.config import SplitConfig, UsageError
from benchmark.data import load_dataset_config
from benchmark.data.images import ImageData, load_images
from benchmark.data.placing import in_place
from benchmark.data.splits import NAMES, VALIDATION_ANOMALIES, Split, make_split
from benchmark.data.synthetic import (
    KINDS,
    LEAST_LEVELS,
    TRIES,
    _around,
    _as_sharp,
    _between,
    differs,
    kinds_of,
    make_anomaly,
    synthetic_images,
)

SHAPES = [(1, 28, 28), (3, 64, 64), (1, 8, 8), (3, 20, 31)]
GOLDEN = "34648c98153edba5e9f737e9758371781deb8b9dd13a363f847e0b7fa23e8c2e"


def blobs(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Images uint8 (count, *shape): each channel an ellipse on black, brighter below, in the upper left."""
    draw, (height, width) = np.random.default_rng(seed), shape[-2:]
    rows, columns = np.indices((height, width))
    found = np.zeros((count, *shape), np.uint8)
    for image in found:
        row, column = draw.uniform(0.3, 0.45, 2) * (height, width)
        tall, wide = draw.uniform(0.15, 0.3, 2) * (height, width)
        bright = ((rows - row) / tall) ** 2 + ((columns - column) / wide) ** 2
        shade = 0.75 + 0.25 * np.clip((rows - row) / tall, -1, 1)
        image[:] = np.rint(255 * np.exp(-(bright**2)) * shade * draw.uniform(0.6, 1, (shape[0], 1, 1)))
    return found


def flat(count: int = 50, classes: int = 1, **changes: torch.Tensor) -> ImageData:
    """A data set of normal images alone: no test images, no image of another class unless there are ``classes``."""
    images = torch.from_numpy(blobs(count * classes, 1, 12, 12))
    labels = torch.arange(classes).repeat_interleave(count)
    nothing = torch.zeros(0, 1, 12, 12, dtype=torch.uint8)
    names = tuple(f"class {i}" for i in range(classes))
    return ImageData("flat", names, images, labels, nothing, torch.zeros(0).long(), version=str(count))


def split(data: ImageData, number: int = 0, seed: int = 0, name: str = "one_vs_rest", **changes: object) -> Split:
    return make_split(data, SplitConfig(name=name, **{"evaluate_on": "synthetic", **changes}), number, seed)


def made(data: ImageData, of: Split) -> torch.Tensor:
    return synthetic_images(data, of.eval_index, of.eval_target, of.eval_seed)


# ---- each kind


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_another_image_of_the_same_shape(kind, shape):
    for seed, image in enumerate(blobs(30, *shape)):
        found, is_one = make_anomaly(image, kind, seed)
        assert (found.shape, found.dtype) == (shape, np.uint8)
        assert is_one
        changed = np.abs(found.astype(int) - image.astype(int)).max(0) >= LEAST_LEVELS
        assert changed.mean() >= 0.01
        assert np.array_equal(found, make_anomaly(image, kind, seed)[0])
        assert kind == "turned" or not np.array_equal(found, make_anomaly(image, kind, seed + 1000)[0])


def share_changed(kind: str, shape: tuple[int, ...] = (1, 60, 60)) -> np.ndarray:
    """Share of pixels that changed, of 60 images of noise."""
    images = np.random.default_rng(1).integers(0, 256, (60, *shape), dtype=np.uint8)
    return np.array([(make_anomaly(x, kind, i)[0] != x).any(0).mean() for i, x in enumerate(images)])


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [("cut_paste", 0.02, 0.15), ("occluded", 0.05, 0.25), ("noise_patch", 0.05, 0.25), ("scar", 0.01, 0.05)],
)
def test_patches_cover_what_they_say(kind, least, most):
    shares = share_changed(kind)
    assert 0.85 * least < shares.min() < shares.max() < 1.1 * most
    assert np.ptp(shares) > 0.6 * (most - least)


@pytest.mark.parametrize("kind", ["cut_paste", "scar"])
def test_what_is_pasted_is_cut_from_the_image(kind):
    """Rows of one level each: a pixel that was pasted is of one of these levels, times 0.9 to 1.1."""
    levels = np.linspace(20, 230, 40).round()
    image = np.broadcast_to(levels.astype(np.uint8)[:, None], (1, 40, 40)).copy()
    for seed in range(20):
        found, _ = make_anomaly(image, kind, seed)
        pasted = found[found != image].astype(float)
        brightness = np.linspace(0.9, 1.1, 401)
        apart = [np.abs(pasted[:, None] - levels * b).min(1).max() for b in brightness]
        assert min(apart) < 1, "one brightness for all of it"


def test_turned_is_the_same_pixels_but_never_the_image_or_its_mirror_image():
    square, oblong = (np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) for shape in ((1, 9, 9), (1, 9, 12)))
    for image, ways in ((square, 6), (oblong, 2)):
        found = {make_anomaly(image, "turned", seed)[0].tobytes() for seed in range(200)}
        assert len(found) == ways
        assert not found & {image.tobytes(), image[..., ::-1].tobytes()}
        assert all(sorted(one) == sorted(image.tobytes()) for one in found)


def spots(image: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Of what is bright: its centre of mass (row, column), and the margins above, below, left and right of it."""
    mass = image.astype(np.int64).sum(0)
    rows, columns = mass.sum(1), mass.sum(0)
    centre = np.array([(line * np.arange(len(line))).sum() / line.sum() for line in (rows, columns)])
    (down,), (across,) = rows.nonzero(), columns.nonzero()
    return centre, (down[0], len(rows) - 1 - down[-1], across[0], len(columns) - 1 - across[-1])


def test_a_free_thing_is_turned_where_it_lies():
    """Its centre of mass stays in its pixel, or as near as the border lets it; on white as on black."""
    free = [image for image in blobs(60, 3, 40, 40) if min(spots(image)[1])]
    assert len(free) > 20
    for seed, image in enumerate(free):
        for ground, thing in ((0, image), (255, 255 - image)):
            found, _ = make_anomaly(thing, "turned", seed)
            (before, _), (after, margins) = spots(image), spots(np.abs(found.astype(int) - ground))
            stopped = np.array([min(margins[:2]) == 0, min(margins[2:]) == 0])
            assert (stopped | (np.floor(before + 0.5) == np.floor(after + 0.5))).all()
            assert (np.abs(before - after) < 3).all()  # about the image's middle it would be up to 16


def test_what_reaches_the_border_keeps_the_middle_of_its_box_and_a_photograph_is_turned_as_it_is():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 9:20] = np.linspace(40, 255, 11).astype(np.uint8)[:, None]  # margins of 9 above and 8 below
    for seed in range(30):
        found, _ = make_anomaly(image, "turned", seed)
        assert spots(found)[1] in ((9, 8, 0, 0), (0, 0, 9, 8))
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    turns = [np.rot90(one, quarters, (-2, -1)) for one in (noise, noise[..., ::-1]) for quarters in (1, 2, 3)]
    assert all(any(np.array_equal(make_anomaly(noise, "turned", i)[0], turn) for turn in turns) for i in range(20))


def test_a_turn_leaves_no_trace_of_its_making(data_dir):
    """A 1 turned by half is a 1; about the middle of the image it would lie a pixel off, which every rule would see."""
    data = load_images(load_dataset_config("mnist"), data_dir)
    images = data.train_images[data.train_labels == 1].numpy()
    held_out, truth = images[3500:4000], np.repeat([1, 0], 500)
    off = np.rot90(held_out, 2, axes=(-2, -1))
    turned = np.stack([in_place(*pair) for pair in zip(off.astype(float), held_out.astype(float), strict=True)])
    for rule in ("squared", "ssim"):
        detector = Detector("pca", rule=rule).fit(images[:3500])
        normal = detector.score_samples(held_out)
        auroc = [
            roc_auc_score(truth, np.concatenate([normal, detector.score_samples(made)]))
            for made in (off.copy(), turned.astype(np.uint8))
        ]
        assert 0.45 < auroc[1] < 0.6 < 0.75 < auroc[0], (rule, auroc)
    made = np.stack([make_anomaly(image, "turned", seed)[0] for seed, image in enumerate(held_out)])
    usual = np.mean([spots(image)[0] for image in images[:3500]], axis=0)
    beside = [[-np.linalg.norm(spots(image)[0] - usual) for image in some] for some in (held_out, made)]
    assert 0.45 < roc_auc_score(truth, np.concatenate(beside)) < 0.55, "told by its place alone"


def test_elastic_moves_pixels_by_up_to_a_fifth_and_the_same_in_every_channel():
    ramp = np.broadcast_to(np.arange(50, dtype=np.uint8) * 5, (50, 50))
    image = np.stack([ramp, ramp])
    furthest = []
    for seed in range(40):
        found, _ = make_anomaly(image, "elastic", seed)
        assert np.array_equal(found[0], found[1])
        furthest.append(np.abs(found[0].astype(int) - ramp).max() / 5)  # in columns
    assert 2 < min(furthest) < max(furthest) <= 10.2


@pytest.mark.parametrize(("dataset", "label"), [("mnist", 8), ("fashion_mnist", 0)])
def test_a_warp_leaves_no_trace_of_its_making(dataset, label, data_dir):
    """Images moved by a part of a pixel, made as warped ones are, stay normal: no rule may tell them by blur."""
    data = load_images(load_dataset_config(dataset), data_dir)
    images = data.train_images[data.train_labels == label].numpy()
    held_out, draw = images[3500:4000], np.random.default_rng(0)
    moved, blurred = np.empty_like(held_out), np.empty_like(held_out)
    for i, image in enumerate(held_out.astype(float)):
        rows, columns = (np.indices((28, 28)) + draw.uniform(-0.5, 0.5, (2, 1, 1))).clip(0, 27)
        between = _between(image, rows, columns)
        blurred[i] = np.rint(between)
        moved[i] = np.rint(_as_sharp(between, image, *_around(image, rows, columns)).clip(0, 255))
    warped = np.stack([make_anomaly(image, "elastic", seed)[0] for seed, image in enumerate(held_out)])
    truth = np.repeat([1, 0], len(held_out))
    for rule in ("squared", "complexity_adjusted", "ssim"):
        detector = Detector("pca", rule=rule).fit(images[:3500])
        normal = detector.score_samples(held_out)
        auroc = {
            name: roc_auc_score(truth, np.concatenate([normal, detector.score_samples(made)]))
            for name, made in (("moved", moved), ("blurred", blurred), ("warped", warped))
        }
        assert 0.45 < auroc["moved"] < 0.6 < 0.65 < auroc["warped"], (rule, auroc)
        assert rule == "complexity_adjusted" or auroc["blurred"] < 0.42, (rule, auroc)  # what would be seen without


def test_an_occlusion_is_of_one_level_and_noise_is_not():
    image = np.zeros((3, 40, 40), np.uint8)
    for seed in range(20):
        assert len(np.unique(make_anomaly(image, "occluded", seed)[0])) == 2
        noise, _ = make_anomaly(image, "noise_patch", seed)
        assert len(np.unique(noise)) > 30
        assert not np.array_equal(noise[0], noise[1])


# ---- an anomaly that is none


def test_black_pasted_on_black_is_drawn_again():
    image = np.zeros((1, 28, 28), np.uint8)
    image[:, 2:8, 2:8] = 200  # a small thing in a corner: most rectangles are black, and most places
    assert all(make_anomaly(image, kind, seed)[1] for kind in ("cut_paste", "scar") for seed in range(30))


@pytest.mark.parametrize(("kind", "possible"), [(k, k in ("occluded", "noise_patch")) for k in KINDS])
def test_a_blank_image_can_be_covered_and_nothing_else(kind, possible):
    blank = np.full((1, 16, 16), 7, np.uint8)
    assert make_anomaly(blank, kind, 0)[1] == possible


def test_differs_counts_pixels_and_levels():
    image = np.zeros((3, 20, 20), np.uint8)
    image[:, 0] = 200  # a range of 200: a pixel must change by 20
    changed = image.copy()
    changed[0, 10, :4] = 20
    assert differs(image, changed)  # 4 of 400 pixels, in one channel
    changed[0, 10, 3] = 19
    assert not differs(image, changed)
    dark = np.zeros((1, 20, 20), np.uint8)
    for level, is_one in ((LEAST_LEVELS - 1, False), (LEAST_LEVELS, True)):
        found = dark.copy()
        found[0, 10, :4] = level
        assert differs(dark, found) == is_one
    assert not differs(dark[:, :3, :3], dark[:, :3, :3])  # 1% of nine pixels is one, not none


def test_those_that_hardly_differ_are_said_once_and_counted(capsys):
    data = flat(40)
    data = replace(data, train_images=torch.full_like(data.train_images, 9), version="blank")
    found = split(data)
    made(data, found)
    line = capsys.readouterr().err
    assert line.startswith(
        "warning: 32 of 48 synthetic anomalies hardly differ from the images they are made of, after"
    )
    assert f"{TRIES} draws each (8 cut_paste, 8 scar, 8 turned, 8 elastic); they count as anomalies" in line
    made(data, found)
    assert capsys.readouterr().err == ""


# ---- the split


@pytest.mark.parametrize("count", [50, 10_000])
def test_a_flat_folder_of_good_images_is_enough(count):
    data = flat(count)
    found = split(data)
    held = count // 5
    each = min(held, VALIDATION_ANOMALIES // len(KINDS))
    assert found.eval_source == "synthetic"
    assert int((found.eval_label == 0).sum()) == held
    assert torch.bincount(found.eval_target).tolist() == [held] + [each] * len(KINDS)
    assert torch.equal(found.eval_label, (found.eval_target > 0).byte())
    assert set(found.eval_index.tolist()) == set(found.eval_index[found.eval_label == 0].tolist())
    given = torch.cat([found.train_index, found.calibration_index])
    assert len(given) + held == count
    assert not torch.isin(given, found.eval_index).any()


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_on_the_images_of_validation_and_holds_out_the_same(name):
    data = flat(100, classes=3)
    ours, real = split(data, 1, name=name), split(data, 1, name=name, evaluate_on="validation")
    assert torch.equal(ours.train_index, real.train_index)
    assert torch.equal(ours.calibration_index, real.calibration_index)
    assert torch.equal(ours.eval_index[ours.eval_label == 0], real.eval_index[real.eval_label == 0])
    assert ours.nominal_train_size == real.nominal_train_size
    assert ours.hash != real.hash
    assert real.eval_seed is None
    classes = data.train_labels[ours.eval_index]
    assert torch.equal(ours.eval_target % 3, classes)
    assert ((classes == 1) == (name == "one_vs_rest")).all()


def test_normal_images_are_as_they_are_and_anomalies_are_made_of_their_row():
    data = flat(100)
    found = split(data)
    images = made(data, found)
    normal = found.eval_label == 0
    assert torch.equal(images[normal], data.train_images[found.eval_index[normal]])
    for i in (~normal).nonzero().flatten().tolist():
        source = data.train_images[found.eval_index[i]].numpy()
        assert differs(source, images[i].numpy())
    turned = (found.eval_target == 1 + KINDS.index("turned")).nonzero().flatten()
    for i in turned.tolist():
        values = (x[i_].flatten().sort().values for x, i_ in ((images, i), (data.train_images, found.eval_index[i])))
        assert torch.equal(*values)


def test_an_image_depends_on_its_row_kind_and_split_alone():
    data = flat(200)
    whole, part = split(data), split(data, test_limit=30)
    assert len(part.eval_label) == 30
    both = {
        (int(i), int(t)): image
        for i, t, image in zip(whole.eval_index, whole.eval_target, made(data, whole), strict=True)
    }
    for i, t, image in zip(part.eval_index, part.eval_target, made(data, part), strict=True):
        assert torch.equal(both[int(i), int(t)], image)
    seeds = {split(data, seed=seed).eval_seed for seed in range(3)}
    other = split(flat(100, classes=2), 1)
    assert len({*seeds, other.eval_seed, split(replace(data, name="other")).eval_seed}) == 5
    assert len({split(data, seed=seed).hash for seed in range(3)} | {part.hash}) == 4


def test_what_a_seed_makes_never_changes():
    """Raise ``VERSION`` when it has to: cells of before are others then."""
    data = flat(60)
    found = split(data)
    assert hashlib.sha256(made(data, found).numpy().tobytes()).hexdigest() == GOLDEN


def test_too_few_images_are_one_line():
    with pytest.raises(UsageError, match=r"makes anomalies from a fifth of .* flat has fewer than three for class 0"):
        split(flat(2))
    assert len(split(flat(3)).eval_index) == 1 + len(KINDS)


def test_kinds_are_those_made_here_or_the_data_sets_own():
    assert kinds_of("synthetic", ["slow"]) == KINDS
    assert kinds_of("validation", ["slow"]) == ("slow",)
