"""The analysis of variance against closed forms in float64, and the largest block of cells that all share."""

from itertools import chain, combinations, product

import numpy as np
import pytest
from scipy import stats

from benchmark.report.crossing import _largest
from benchmark.report.variance import RESIDUAL, analyse

FACTORS = ("model", "rule", "class", "seed")
PAIR = [("model", "rule")]


def known():
    """(values (3, 4, 5, 2), the sum of squares of each source), made of effects that are orthogonal by hand."""
    model = np.array([-0.03, 0.01, 0.02])
    rule = np.array([0.05, -0.01, -0.01, -0.03])
    of_class = np.array([0.1, 0.0, -0.1, 0.05, -0.05])
    seed = np.array([0.004, -0.004])
    both = np.outer([0.01, -0.02, 0.01], [0.5, -0.5, 1.0, -1.0])  # rows and columns add up to 0
    rest = np.multiply.outer(np.outer([1, -1, 0], [1, 1, -1, -1]), np.outer([2, -1, -1, 0, 0], [1, -1])) * 0.003
    values = 0.9 + rest + model[:, None, None, None] + rule[:, None, None] + of_class[:, None] + seed
    values += both[:, :, None, None]
    squares = {
        "model": 40 * np.square(model).sum(),  # 120 values, 40 of each model
        "rule": 30 * np.square(rule).sum(),
        "class": 24 * np.square(of_class).sum(),
        "seed": 60 * np.square(seed).sum(),
        "model x rule": 10 * np.square(both).sum(),
        RESIDUAL: np.square(rest).sum(),
    }
    return values, squares


def test_known_effects_are_found_with_their_shares_exactly():
    values, squares = known()
    found = {source.name: source for source in analyse(values, FACTORS, PAIR)}
    assert list(found) == list(squares)
    for name, expected in squares.items():
        assert found[name].squares == pytest.approx(expected, rel=1e-11), name
        assert found[name].share == pytest.approx(expected / sum(squares.values()), rel=1e-11), name
    assert [source.freedom for source in found.values()] == [2, 3, 4, 1, 6, 103]


def dummies(levels, names):
    """Columns (n, k) that tell the levels of these factors apart, in every combination."""
    places = np.array(list(product(*map(range, levels))))
    keys = places[:, [FACTORS.index(name) for name in names]]
    return np.stack([(keys == one).all(axis=1) for one in np.unique(keys, axis=0)], axis=1).astype(float)


def test_sums_of_squares_are_those_of_linear_regressions_one_after_the_other():
    """What a term adds to a least squares fit of those before it (type I): in a balanced design in whatever order."""
    levels = (3, 4, 5, 2)
    values = np.random.default_rng(0).normal(size=levels)
    columns, left = np.ones((values.size, 1)), float(np.square(values - values.mean()).sum())
    total, found = left, {source.name: source for source in analyse(values, FACTORS, PAIR)}
    for names in (("seed",), ("rule",), ("model",), ("class",), ("model", "rule")):
        columns = np.hstack([columns, dummies(levels, names)])
        fitted = columns @ np.linalg.lstsq(columns, values.ravel(), rcond=None)[0]
        now = float(np.square(values.ravel() - fitted).sum())
        assert found[" x ".join(names)].squares == pytest.approx(left - now, rel=1e-9)
        left = now
    assert found[RESIDUAL].squares == pytest.approx(left, rel=1e-9)
    assert sum(source.share for source in found.values()) == pytest.approx(1, rel=1e-12)
    assert found["model"].share == pytest.approx(found["model"].squares / total)


def test_one_factor_gives_the_f_value_of_scipy():
    values = np.random.default_rng(1).normal(size=(4, 9))
    between, within = (
        analyse(values, ("group", "image"), [])[0],
        np.square(values - values.mean(1, keepdims=True)).sum(),
    )
    f = (between.squares / between.freedom) / (within / 32)
    assert f == pytest.approx(stats.f_oneway(*values).statistic)


def test_a_factor_of_one_level_has_no_row_and_equal_values_have_no_shares():
    assert [s.name for s in analyse(np.arange(8.0).reshape(2, 2, 2, 1), FACTORS, PAIR)] == [
        "model", "rule", "class", "model x rule", RESIDUAL,
    ]  # fmt: skip
    assert all(np.isnan(source.share) for source in analyse(np.full((2, 3, 7, 1), 0.1), FACTORS, PAIR))


def largest_by_force(present):
    """Size of the largest full box, by trying every set of indices on every axis but the first."""
    sets = [
        list(chain.from_iterable(combinations(range(n), size) for size in range(1, n + 1))) for n in present.shape[1:]
    ]
    return max(
        int(present[np.ix_(range(present.shape[0]), *chosen)].all(axis=(1, 2, 3)).sum()) * np.prod([*map(len, chosen)])
        for chosen in product(*sets)
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_largest_block_is_as_large_as_any(seed):
    rng = np.random.default_rng(seed)
    present = rng.random((4, 3, 4, 2)) < (0.5, 0.75, 0.9, 0.97)[seed % 4]
    found = _largest(present, (1, 1, 1, 1))
    assert present[np.ix_(*found)].all()
    assert np.prod([len(axis) for axis in found]) == largest_by_force(present)


@pytest.mark.parametrize("models", [2, 3])
def test_a_block_may_be_of_classes_that_no_model_has_alone(models):
    present = np.zeros((models, 2, 6, 1), bool)
    for model, classes in enumerate(([0, 1, 2, 3], [0, 2, 3, 4, 5], [1, 2, 3, 4])[:models]):
        present[model, :, classes] = True
    least = (models, 2, 2, 1)
    assert _largest(present, least) == (tuple(range(models)), (0, 1), (0, 2, 3) if models == 2 else (2, 3), (0,))


def test_a_block_has_at_least_what_is_asked_for():
    present = np.zeros((2, 3, 2, 1), bool)
    present[0] = True  # one model has everything, which is a block of 6
    present[1, :2, :1] = True
    assert _largest(present, (2, 2, 1, 1)) == ((0, 1), (0, 1), (0,), (0,))
    assert _largest(present, (2, 2, 2, 1)) is None
    assert _largest(np.zeros((0, 0, 2, 1), bool), (2, 2, 2, 1)) is None
