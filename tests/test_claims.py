"""No page says another number than the committed cells, and no number stands in a page that nothing recomputes."""

from __future__ import annotations

import re
from functools import cache

import pandas as pd
import pytest

from benchmark.config import CONF_DIR
from benchmark.models import model_names
from tests.claims.cells import ROOT, frame, paired, verdict
from tests.claims.claim import Absent, Claim, flexible, normal
from tests.claims.exceptions import AWAITED, EXCEPTIONS, GENERATED
from tests.claims.pages import block, refreshed, with_tables
from tests.claims.registry import CLAIMS, PAGES
from tests.claims.tables import BLOCKS, WHOLE

MEASURED = r"(?<![\w.])\d+\.\d+|\d%|\d+ of \d+ classes"
REFERENCES = r"arXiv:\d+\.\d+|sections?\s+\d+(?:\.\d+)?(?:,\s+\d(?![\d.]))*"
PAIR = r"(0\.\d{3})\s*/\s*(0\.\d{3})"  # tested below
CODE = r"^```.*?^```|^ {4}[^\n]*$|`[^`]*`"
EVERY = [(page, claim) for page, claims in CLAIMS.items() for claim in claims]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def exception(text: str) -> re.Pattern[str]:
    """An exception's text, wrapped in any way; ... stands for any text."""
    return re.compile(".*?".join(flexible(part) for part in text.split(" ... ")), re.DOTALL)


@pytest.mark.parametrize(("page", "claim"), EVERY, ids=[f"{page}: {claim.text[:40]}" for page, claim in EVERY])
def test_a_page_says_what_the_cells_say(page: str, claim: Claim) -> None:
    assert claim.pattern.search(read(page)), "this text is no longer in the page: delete its claim"
    try:
        expected = claim.rendered()
        held = claim.holds is None or claim.holds()
    except Absent as error:
        if any(page == awaited and f"results/{name} " in str(error) for awaited, name in AWAITED):
            pytest.skip(str(error))
        raise
    found = {normal(match[0]) for match in claim.pattern.finditer(read(page))}
    assert found == {normal(expected)}, "type: python -m tests.claims write"
    assert held, "the cells say otherwise: write this sentence again"


def test_every_model_of_the_family_table_has_a_page() -> None:
    assert {f"docs/models/{model}.md" for model in frame("family")["model"]} <= set(PAGES)


@pytest.mark.parametrize("name", BLOCKS)
def test_tables_between_markers_are_made_from_the_cells(name: str) -> None:
    pages = [page for page in PAGES if block(read(page), name)]
    assert pages or name not in ("answer", "quick", "family")
    for page in pages:
        found = block(read(page), name)
        assert found is not None
        assert with_tables(found[0], BLOCKS[name]()) == found[0], "type: python -m tests.claims write"


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_written_as_a_whole_is_what_the_cells_say(name: str) -> None:
    """One seed ranks nothing, and cells that are not there have no block."""
    wanted = WHOLE[name]()
    if wanted is None:
        pytest.skip(f"results/{name} is not there yet, or has too few seeds")
    assert [found[0] for page in PAGES if (found := block(read(page), name))] == [wanted]


def uncovered(page: str, text: str) -> list[str]:
    """What looks measured in a page and is in no claim, marked table, exception, pair, reference or code."""
    for name in BLOCKS:
        found = block(text, name)
        if found is not None:
            kept = re.sub(r"^\|.*$", "", found[0], flags=re.MULTILINE)
            text = text[: found.start()] + kept + text[found.end() :]
    for name in WHOLE:
        found = block(text, name)
        if found is not None:
            text = text[: found.start()] + text[found.end() :]
    patterns = [claim.pattern for claim in CLAIMS.get(page, [])] + [exception(e) for e in EXCEPTIONS.get(page, {})]
    for pattern in patterns:
        text = pattern.sub(" ~ ", text)
    if page.startswith("docs/models/"):
        text = re.sub(PAIR, " ~ ", text)
    text = re.sub(CODE, " ~ ", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(REFERENCES, " ~ ", text)
    return [normal(text[max(0, m.start() - 40) : m.end() + 20]) for m in re.finditer(MEASURED, text)]


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED])
def test_no_number_stands_in_a_page_that_nothing_recomputes(page: str) -> None:
    assert uncovered(page, read(page)) == []


def test_the_guard_sees_a_number_that_nobody_registered() -> None:
    page = "docs/models/vae.md"
    assert uncovered(page, read(page) + "\nWith `beta=0.5` it gets 0.971 and 12% more.\n") != []
    assert len(uncovered(page, "0.971, `0.5`, arXiv:1511.05644, section 4.2, 1.43 bits, 12%, 3 of 10 classes")) == 4


@pytest.mark.parametrize(("page", "text"), [(page, text) for page, texts in EXCEPTIONS.items() for text in texts])
def test_every_exception_is_in_its_page(page: str, text: str) -> None:
    assert exception(text).search(read(page)), "delete this exception"


def test_a_refresh_changes_the_numbers_and_the_tables_alone() -> None:
    claim = Claim("AE has {:.3f} of\n{:,d} images, {}", lambda: [0.5, 12000, "not separated (Wilcoxon, p = 1)"])
    text = "AE has\n0.123 of 900 images, separated, `ae`\nahead (Wilcoxon, p = 0.01). AE has 0.123.\n"
    blocks = {"t": lambda: [["| a | 2 |"]]}
    marked = "<!-- t:begin -->\nx\n\n| n | v |\n| --- | ---: |\n| a | 1 |\n\ny\n<!-- t:end -->\n| a | 1 |\n"
    new = refreshed(text + marked, [claim], blocks)
    assert new.startswith("AE has\n0.500 of 12,000 images, not separated (Wilcoxon, p = 1). AE has 0.123.\n")
    assert new.endswith(marked.replace("| a | 1 |\n\n", "| a | 2 |\n\n"))
    assert refreshed(new, [claim], blocks) == new


def test_a_verdict_says_what_the_test_says_whichever_model_is_named_first() -> None:
    for second in ("vae", "anogan"):
        one, other = paired("quick", "ae", second), paired("quick", second, "ae")
        assert one.difference == -other.difference
        assert one.wins + other.wins + one.ties == one.n == 20
        assert verdict("quick", "ae", second) == verdict("quick", second, "ae")
        ahead = "ae" if one.difference > 0 else second
        assert verdict("quick", "ae", second).startswith(
            f"separated, `{ahead}` ahead (Wilcoxon" if one.p_holm < 0.05 else "not separated (Wilcoxon"
        )


@cache
def validation_cells() -> pd.DataFrame:
    names = sorted(path.parent.name for path in (ROOT / "results").glob("selection*/cells.csv"))
    return pd.concat([frame(name).assign(folder=name) for name in names])


def validation_pairs(text: str) -> list[tuple[str, str]]:
    return re.findall(PAIR, text)


@pytest.mark.parametrize("name", model_names())
def test_validation_figures_are_the_committed_ones(name: str) -> None:
    """Every "MNIST / Fashion-MNIST" pair in a model's YAML and page is a mean over classes in results/selection*."""
    cells = validation_cells()
    assert set(cells["evaluate_on"]) == {"validation"}
    metrics = [column for column in cells.columns if column.startswith("auroc")]
    yaml = (CONF_DIR / "model" / f"{name}.yaml").read_text("utf-8")
    page = ROOT / "docs" / "models" / f"{name}.md"
    pairs = validation_pairs(page.read_text("utf-8")) if page.exists() else []
    if "have not been compared on validation images" not in yaml:
        pairs += validation_pairs(yaml)
        assert validation_pairs(yaml), f"{name}.yaml says nothing of how its settings were chosen"
    part = cells[cells["model"] == name]
    part = part.assign(variant=part["folder"] + " " + part["variant"])  # the settings as shipped change over time
    means = part.groupby(["variant", "dataset"])[metrics].mean()
    known = {
        (f"{means.loc[(variant, 'mnist'), metric]:.3f}", f"{means.loc[(variant, 'fashion_mnist'), metric]:.3f}")
        for variant in set(part["variant"])
        if {(variant, "mnist"), (variant, "fashion_mnist")} <= set(means.index)
        for metric in metrics
    }
    assert set(pairs) <= known


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_thresholds_hold_on_images_that_no_model_has_seen(dataset: str) -> None:
    """Of the normal test images every model flags 5 +- 1.5% at the 5% threshold, mean over the ten classes."""
    cells = frame("quick")
    rates = cells[cells["dataset"] == dataset].groupby("model")["false_alarm_rate"].agg(["mean", "count"])
    assert set(rates["count"]) == {10}
    assert rates["mean"].between(0.035, 0.065).all(), rates
