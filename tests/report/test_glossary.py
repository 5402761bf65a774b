"""What the tables show is explained."""

from benchmark.report.glossary import GLOSSARY
from benchmark.report.statistics import groups
from benchmark.report.tables.auroc import auroc_table
from benchmark.report.tables.comparison import comparison_tables
from benchmark.report.tables.details import BITS, BOUND, GENERATION, GRADIENTS, LATENT
from benchmark.report.tables.detection import DETECTION
from benchmark.report.tables.losses import LOSSES


def test_every_quantity_and_row_of_the_tables_has_an_entry(records, frame_of):
    named = {name.strip().removesuffix(" (updates)") for key, _, _ in GLOSSARY for name in key.split(",")}
    shown = {metric for part in (BITS, BOUND, GENERATION, GRADIENTS, LATENT, DETECTION, LOSSES) for metric, _ in part}
    assert shown | {"auroc_se", "threshold", "n_calibration", "steps", "▽"} <= named
    records.job(*({"model": m, "k": k, "seed": s, "auroc": 0.5 + 0.01 * k * (m == "ae")}
                  for m in ("ae", "vae") for k in range(8) for s in (0, 1)))  # fmt: skip
    (group,) = groups(frame_of())
    rows = [row[0].text for row in auroc_table(group).rows if not row[0].text.isdigit()]
    (tests,) = comparison_tables([group])
    assert set(rows) - {"updates"} <= named
    assert {"p", "p (Holm)", "effect", "verdict"} <= named & set(tests.columns)


def test_no_key_is_explained_twice():
    keys = [name.strip() for key, _, _ in GLOSSARY for name in key.split(",")]
    assert len(keys) == len(set(keys))
