"""Splits: counts, no training image among the evaluated ones, seeds, hashes and classes by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmark.config import SplitConfig, UsageError
from benchmark.data import load_dataset_config
from benchmark.data.classes import refuse_ambiguous, resolve_classes
from benchmark.data.images import ImageData, load_images
from benchmark.data.splits import NAMES, SPLIT_VERSION, make_split, told_classes, trainable_classes
from benchmark.seeds import derive_seed

FASHION = list(load_dataset_config("fashion_mnist").classes)
MNIST_TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
GOLDEN = [  # hashes of class 3, seed 0: raise SPLIT_VERSION when one of them has to change
    ("one_vs_rest", {}, "a6efa9c7d7b3926f7cffc41109a7cae6444526b0c668fac37cc5f95ee71cc442"),
    ("leave_one_out", {}, "cc31f676d885cdc822d568454dbec3cbffe7048310745ed97dfbc52ecf6f639d"),
    ("one_vs_rest", {"evaluate_on": "validation"}, "512c478930c4ecd86f3258a052e492eea201b88ce20a49769ce1657c2b539805"),
    (
        "one_vs_rest",
        {"contamination": 0.1, "train_fraction": 0.5, "test_limit": 500},
        "c3069427a136fcc6471d0adc87f6db6772ea2596a07f0e9b4c24f4a8eaad1bbb",
    ),
]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors: more threads only wait for each other
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def toy() -> ImageData:
    """Ten classes of 4000 to 4090 training and 50 to 59 test images; pixels play no part in a split."""
    train = torch.cat([torch.full((4000 + 10 * label,), label) for label in range(10)])
    test = torch.cat([torch.full((50 + label,), label) for label in range(10)])
    order = torch.Generator().manual_seed(0)
    train, test = (t[torch.randperm(len(t), generator=order)] for t in (train, test))
    names = tuple(f"class {label}" for label in range(10))
    blank = torch.zeros(0, 1, 1, 1, dtype=torch.uint8)
    return ImageData("toy", names, blank, train, blank, test, version="0")


@pytest.fixture(scope="module")
def mnist(data_dir) -> ImageData:
    return load_images(load_dataset_config("mnist"), data_dir)


def split(data, name="one_vs_rest", normal_class=3, seed=0, **changes):
    return make_split(data, SplitConfig(name=name, **changes), normal_class, seed)


def given(found):
    """Rows of all training images that a split was given, sorted: trained on or kept for calibration."""
    return torch.cat([found.train_index, found.calibration_index]).sort().values


def counts(labels):
    return torch.bincount(labels, minlength=10).tolist()


@pytest.mark.parametrize("normal_class", range(10))
def test_one_vs_rest_on_mnist_has_the_protocols_counts(mnist, normal_class):
    found = split(mnist, normal_class=normal_class)
    expected = [0] * 10
    expected[normal_class] = MNIST_TRAIN_COUNTS[normal_class]
    assert counts(mnist.train_labels[given(found)]) == expected
    assert len(found.calibration_index) == round(0.1 * expected[normal_class])
    assert not found.train_label.any()
    assert (found.eval_source, len(found.eval_index)) == ("test", 10_000)
    assert counts(found.eval_target) == MNIST_TEST_COUNTS
    assert counts(found.eval_target[found.eval_label == 0])[normal_class] == MNIST_TEST_COUNTS[normal_class]
    assert int((found.eval_label == 0).sum()) == MNIST_TEST_COUNTS[normal_class]
    assert torch.equal(found.eval_target, mnist.test_labels[found.eval_index])


@pytest.mark.parametrize("normal_class", [0, 9])
def test_leave_one_out_on_mnist_has_the_protocols_counts(mnist, normal_class):
    found = split(mnist, "leave_one_out", normal_class)
    expected = list(MNIST_TRAIN_COUNTS)
    expected[normal_class] = 0
    assert counts(mnist.train_labels[given(found)]) == expected
    assert len(found.eval_index) == 10_000
    assert int(found.eval_label.sum()) == MNIST_TEST_COUNTS[normal_class]
    assert (found.eval_target[found.eval_label == 1] == normal_class).all()


def test_every_fashion_class_has_6000_and_1000(data_dir):
    fashion = load_images(load_dataset_config("fashion_mnist"), data_dir)
    for normal_class in range(10):
        found = split(fashion, normal_class=normal_class)
        assert len(found.train_index) == found.nominal_train_size == 5400
        assert len(found.calibration_index) == 600
        assert int((found.eval_label == 0).sum()) == 1000


@pytest.mark.parametrize(("name", "changes", "expected"), GOLDEN)
def test_hash_of_mnist_class_3_never_changes(mnist, name, changes, expected):
    assert SPLIT_VERSION == 2
    assert split(mnist, name, **changes).hash == expected


CHANGES = [{}, {"contamination": 0.02}, {"train_fraction": 0.3, "contamination": 0.02}, {"test_limit": 100}]


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("evaluate_on", ["test", "validation"])
@pytest.mark.parametrize("name", NAMES)
def test_no_training_image_is_evaluated(toy, name, evaluate_on, changes):
    for normal_class in (0, 9):
        found = split(toy, name, normal_class, evaluate_on=evaluate_on, **changes)
        assert found.eval_source == ("test" if evaluate_on == "test" else "train")
        assert len(given(found).unique()) == len(given(found)) > len(found.train_index)
        assert len(found.eval_index.unique()) == len(found.eval_index)
        if found.eval_source == "train":
            assert not torch.isin(given(found), found.eval_index).any()
        normal = toy.train_labels[found.train_index] == normal_class
        normal = normal if name == "one_vs_rest" else ~normal
        assert torch.equal(found.train_label == 0, normal)
        normal = found.eval_target == normal_class
        normal = normal if name == "one_vs_rest" else ~normal
        assert torch.equal(found.eval_label == 0, normal)
        assert torch.equal(found.eval_target, toy.labels(found.eval_source)[found.eval_index])


@pytest.mark.parametrize("evaluate_on", ["test", "validation"])
def test_dtypes(toy, evaluate_on):
    found = split(toy, evaluate_on=evaluate_on)
    assert [t.dtype for t in (found.train_index, found.eval_index, found.eval_target)] == [torch.int64] * 3
    assert [t.dtype for t in (found.train_label, found.eval_label)] == [torch.uint8] * 2


@pytest.mark.parametrize("name", NAMES)
def test_validation_is_a_fifth_of_the_normal_training_images_and_ignores_the_test_split(toy, name):
    found = split(toy, name, evaluate_on="validation")
    held = int((found.eval_label == 0).sum())
    normal = len(given(found)) + held
    assert held == round(0.2 * normal)
    assert normal == int(((toy.train_labels == 3) == (name == "one_vs_rest")).sum())
    changed = replace(toy, test_labels=toy.test_labels.flip(0)[:7], version="1")
    assert split(changed, name, evaluate_on="validation").hash == found.hash


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_contamination_is_a_share_of_the_training_set(toy, name, share):
    normal_class = 9
    if name == "leave_one_out" and share == 0.5:
        with pytest.raises(UsageError, match=r"contamination=0.5 needs \d+ anomalous training images, there are 4090"):
            split(toy, name, normal_class, contamination=share)
        return
    found = split(toy, name, normal_class, contamination=share, calibration_share=0.0)
    assert abs(found.train_label.double().mean().item() - share) < 1 / len(found.train_label)
    assert int((found.train_label == 0).sum()) == len(given(split(toy, name, normal_class)))
    assert found.eval_source == "test"
    if name == "one_vs_rest" and share >= 0.1:
        anomalous = toy.train_labels[found.train_index][found.train_label == 1]
        assert len(anomalous.unique()) > 3


@pytest.mark.parametrize("fraction", [0.25, 1e-9])
def test_train_fraction_takes_a_seeded_part_and_at_least_one(toy, fraction):
    whole, part = split(toy), split(toy, train_fraction=fraction)
    assert len(given(part)) == max(1, round(fraction * len(given(whole))))
    assert torch.isin(given(part), given(whole)).all()
    again, other = split(toy, train_fraction=fraction), split(toy, seed=1, train_fraction=fraction)
    assert again.hash == part.hash
    assert other.hash != part.hash


def test_seed_0_is_a_seed_like_any_other_and_only_what_is_drawn_depends_on_it(toy):
    plain = {"calibration_share": 0.0}
    assert len({split(toy, seed=seed, **plain).hash for seed in range(3)}) == 1
    for changes in ({"contamination": 0.2}, {"train_fraction": 0.5}, {"evaluate_on": "validation"}):
        assert len({split(toy, seed=seed, **plain, **changes).hash for seed in range(3)}) == 3
    assert len({split(toy, seed=seed).hash for seed in range(3)}) == 3


@pytest.mark.parametrize("evaluate_on", ["test", "validation"])
@pytest.mark.parametrize("name", NAMES)
def test_calibration_images_are_a_tenth_of_the_training_images_and_nothing_else_moves(toy, name, evaluate_on):
    with_them = split(toy, name, evaluate_on=evaluate_on)
    without = split(toy, name, evaluate_on=evaluate_on, calibration_share=0.0)
    assert torch.equal(given(with_them), without.train_index)
    assert len(without.calibration_index) == 0
    assert len(with_them.calibration_index) == round(0.1 * len(without.train_index))
    assert torch.equal(with_them.eval_index, without.eval_index)


def test_calibration_images_of_a_contaminated_training_set_are_contaminated_too(toy):
    found = split(toy, contamination=0.2)
    share = (toy.train_labels[found.calibration_index] != 3).double().mean().item()
    assert 0.15 < share < 0.25
    assert abs(found.train_label.double().mean().item() - 0.2) < 0.01


def test_hash_tells_splits_apart(toy):
    hashes = [
        split(toy, name, normal_class, **changes).hash
        for name in NAMES
        for normal_class in (0, 3, 9)
        for changes in (*CHANGES, {"evaluate_on": "validation"})
    ]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("limit", [100, 333])
def test_test_limit_is_stratified_and_the_same_for_every_cell(toy, limit):
    found = [split(toy, name, c, s, test_limit=limit) for name in NAMES for c in (0, 3, 9) for s in (0, 1)]
    assert all(torch.equal(found[0].eval_index, other.eval_index) for other in found)
    assert len(found[0].eval_index) == limit
    for count, whole in zip(counts(found[0].eval_target), counts(toy.test_labels), strict=True):
        assert abs(count - whole * limit / len(toy.test_labels)) <= 1
    assert torch.equal(split(toy, test_limit=10**6).eval_index, torch.arange(len(toy.test_labels)))


@pytest.mark.parametrize("changes", [*CHANGES[:3], {"evaluate_on": "validation"}])
@pytest.mark.parametrize("name", NAMES)
def test_nominal_size_is_the_mean_over_the_normal_classes(toy, name, changes):
    found = [split(toy, name, c, **changes) for c in range(10)]
    assert len({part.nominal_train_size for part in found}) == 1
    mean = sum(len(part.train_index) for part in found) / 10
    assert abs(found[0].nominal_train_size - mean) <= 1


def test_splits_that_leave_nothing_are_one_line(toy):
    with pytest.raises(UsageError, match=r"split.name=both is not allowed; it must be one of one_vs_rest"):
        split(toy, "both")
    with pytest.raises(UsageError, match="leaves 0 training images"):
        split(toy, normal_class=10)
    with pytest.raises(
        UsageError, match=r"with class 3 of toy leaves 3627 training images and \d anomalous of 1 evaluated ones"
    ):
        split(toy, test_limit=1)


def with_labels(toy, train, test) -> ImageData:
    """Three classes, crack, good and scratch, of images with these labels."""
    labels = (torch.tensor(label, dtype=torch.int64) for label in (train, test))
    names, blank = ("crack", "good", "scratch"), torch.zeros(0, 1, 1, 1, dtype=torch.uint8)
    train_labels, test_labels = labels
    return ImageData("parts", names, blank, train_labels, blank, test_labels, version="0")


@pytest.mark.parametrize("test", [[], [1] * 7])
@pytest.mark.parametrize("test_limit", [None, 5])
def test_without_anomalies_the_normal_images_are_evaluated_alone_and_calibration_is_kept(toy, test, test_limit):
    found = split(with_labels(toy, [1] * 50, test), normal_class=1, test_limit=test_limit)
    assert len(found.train_index) == found.nominal_train_size == 45
    assert len(found.calibration_index) == 5
    assert len(found.eval_index) == min(len(test), test_limit or 7)
    assert (len(found.eval_label), int(found.eval_label.sum())) == (len(found.eval_index), 0)
    assert found.eval_target.dtype == torch.int64
    assert found.hash != split(with_labels(toy, [1] * 50, [*test, 1]), normal_class=1).hash


def test_validation_of_one_class_holds_out_normal_images_alone(toy):
    found = split(with_labels(toy, [1] * 50, []), normal_class=1, evaluate_on="validation")
    assert (len(found.eval_index), int(found.eval_label.sum()), found.eval_source) == (10, 0, "train")
    assert len(found.train_index) == found.nominal_train_size == 36


def test_classes_of_defects_have_test_images_only_and_are_never_normal(toy):
    data = with_labels(toy, [1] * 100, [0, 1, 1, 2, 0, 1])
    assert trainable_classes(data, "one_vs_rest") == [1]
    found = split(data, normal_class=1)
    assert found.eval_label.tolist() == [1, 0, 0, 1, 1, 0]
    assert (found.nominal_train_size, found.classes) == (len(found.train_index), 1)  # no class of defects counts
    assert trainable_classes(data, "leave_one_out") == [0, 2]
    left_out = split(data, "leave_one_out", normal_class=0)
    assert (left_out.nominal_train_size, left_out.classes) == (len(left_out.train_index), 2)
    assert trainable_classes(toy, "one_vs_rest") == trainable_classes(toy, "leave_one_out") == list(range(10))
    assert split(toy).classes is None


def test_a_class_without_training_images_is_refused_and_all_leaves_it_out():
    names = ["crack", "good", "scratch"]
    assert resolve_classes("all", names, trainable=[1]) == resolve_classes("Good", names, trainable=[1]) == [1]
    for value in ("crack", 2, ["good", "scratch"]):
        with pytest.raises(UsageError, match=r"no training images would be left; .* 1 \(good\). Type: split.norm"):
            resolve_classes(value, names, trainable=[1])
    with pytest.raises(UsageError, match=r"split.anomalous_class=all leaves no training images.* Type: split=one_vs_"):
        resolve_classes("all", ["good"], "split.anomalous_class", [])


def test_anomalies_alone_are_refused(toy):
    with pytest.raises(UsageError, match="45 training images and 4 anomalous of 4 evaluated ones; at least one"):
        split(with_labels(toy, [1] * 50, [0, 0, 2, 2]), normal_class=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("all", list(range(10))),
        ("ALL", list(range(10))),
        (0, [0]),
        ("7", [7]),
        ("Sneaker", [7]),
        ("sneaker", [7]),
        ("T-shirt/top", [0]),
        ("ANKLE BOOT", [9]),
        ([3, "1", "bag"], [3, 1, 8]),
    ],
)
def test_classes_by_index_and_by_name(value, expected):
    assert resolve_classes(value, FASHION) == expected


@pytest.mark.parametrize("value", [10, -1, "10", "Boot", "", 3.0, True, None, [1, 99]])
def test_unknown_class_lists_what_is_allowed(value):
    with pytest.raises(UsageError) as caught:
        resolve_classes(value, FASHION)
    bad = 99 if isinstance(value, list) else value
    names = "0 (T-shirt/top), 1 (Trouser), 2 (Pullover), 3 (Dress), 4 (Coat), 5 (Sandal), 6 (Shirt), 7 (Sneaker)"
    assert str(caught.value).startswith(f"split.normal_class={bad} is not a class of this data set; allowed: all, or")
    assert names in str(caught.value)
    assert str(caught.value).endswith("Type for example: split.normal_class=3")


@pytest.mark.parametrize("value", [[], [1, 1], [7, "Sneaker"]])
def test_no_class_or_one_twice_is_refused(value):
    with pytest.raises(UsageError, match="must name at least one class, and none twice"):
        resolve_classes(value, FASHION)


def test_a_digit_is_its_own_name():
    digits = [str(i) for i in range(10)]
    assert resolve_classes("3", digits) == [3]
    refuse_ambiguous(3, digits)


def test_a_number_that_is_one_class_s_index_and_another_s_name_is_refused():
    for value in (1, [0, 1]):
        with pytest.raises(UsageError, match=r"called 1 \(index 0\) and the one of index 1 \(2\)") as caught:
            refuse_ambiguous(value, ["1", "2"])
        assert str(caught.value).endswith("""split.normal_class="'1'" or split.normal_class="'2'\"""")
    for value in (0, 2, "1", "all", None):
        refuse_ambiguous(value, ["1", "2"])
    assert [resolve_classes(value, ["1", "2"]) for value in ("1", 0, 2, "2")] == [[0], [0], [1], [1]]


@pytest.mark.parametrize("value", ["9" * 5000, "²"])
def test_no_index_is_one_line(value):
    with pytest.raises(UsageError, match="is not a class of this data set"):
        resolve_classes(value, ["1", "2"])


def test_seeds_are_63_bits_and_never_change():
    assert derive_seed("split", "mnist", 3, 0) == 8841635654729493088
    assert len({derive_seed("a", "b"), derive_seed("ab"), derive_seed("b", "a"), derive_seed("a", "b", 0)}) == 4
    assert derive_seed("1") != derive_seed(1)
    assert all(0 <= derive_seed("x", i) < 2**63 for i in range(100))


def test_told_classes_are_a_share_of_the_normal_images_and_never_contamination(toy: ImageData) -> None:
    split = make_split(toy, SplitConfig(name="leave_one_out", contamination=0.05), 4, 0)
    told = told_classes(split, toy.train_labels, 0.25, seed=3)
    normal = split.train_label == 0
    assert (told >= 0).sum() == round(0.25 * int(normal.sum()))
    assert (told[~normal] == -1).all()
    known = told >= 0
    assert torch.equal(told[known], toy.train_labels[split.train_index[known]])
    assert 4 not in told
    assert not torch.equal(told, told_classes(split, toy.train_labels, 0.25, seed=4))
