"""Tables against numbers worked out by hand, and how they are written."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.report import statistics
from benchmark.report.statistics import groups
from benchmark.report.tables import published
from benchmark.report.tables.auroc import MADE, NO_RESULTS, auroc_table
from benchmark.report.tables.formats import (
    escape_markdown,
    latex_document,
    latex_escape,
    to_csv,
    to_latex,
    to_markdown,
)
from benchmark.report.tables.published import appendix_tables, beside_table, read_published
from benchmark.report.tables.sections import build_tables, group_tables
from benchmark.report.tables.table import Entry, Table

HOSTILE = r"<script>alert('x')</script> & 50% $x_1$ #{}~^\ | `*` 靴"


def texts(table, row):
    return [entry.text for entry in next(r for r in table.rows if r[0].text == row)]


def bold(table, row):
    return [entry.bold for entry in next(r for r in table.rows if r[0].text == row)][1:]


@pytest.fixture
def auroc(frame_of):
    return lambda: auroc_table(groups(frame_of())[0])


def test_auroc_by_hand_with_the_best_of_a_row_bold(records, auroc):
    for model, values in {"pca": [0.9, 0.70], "ae": [0.9004, 0.60], "vae": [0.8, 0.81]}.items():
        records.job(*({"model": model, "k": k, "auroc": v} for k, v in enumerate(values)))
    table = auroc()
    assert table.columns == ["normal class", "pca", "ae ▽", "vae"]
    assert texts(table, "0")[1:] == ["0.900", "0.900", "0.800"]
    assert bold(table, "0") == [True, True, False]  # a tie after rounding
    assert texts(table, "mean")[1:] == ["0.800", "0.750", "0.805"]
    assert bold(table, "mean") == [False, False, True]
    assert texts(table, "average rank")[1:] == ["2.00", "2.00", "2.00"]


def test_a_missing_cell_is_a_dash_and_its_mean_is_marked_and_never_bold(records, auroc):
    records.job({"model": "ae", "k": 0, "auroc": 0.99}, {"model": "ae", "k": 1, "state": "missing"})
    records.job({"model": "vae", "k": 0, "auroc": 0.9}, {"model": "vae", "k": 1, "auroc": 0.8})
    records.job({"model": "aae", "k": 0, "state": "failed"}, {"model": "aae", "k": 1, "state": "failed"})
    table = auroc()
    assert texts(table, "1")[1:] == ["—", "0.800", "—"]
    assert texts(table, "mean")[1:] == ["0.990 (1/2)", "0.850", "—"]
    assert bold(table, "mean") == [False, True, False]


def test_a_mean_over_the_classes_that_were_asked_for_is_not_one_over_all(records, auroc):
    records.job(*({"model": "ae", "k": k, "auroc": 0.9, "classes": 10} for k in range(7)))
    assert texts(auroc(), "mean")[1:] == ["0.900 (7/10)"]


def test_several_seeds_show_sd_with_ddof_1_and_n(records, auroc):
    records.job(*({"model": "ae", "k": 0, "seed": s, "auroc": v} for s, v in enumerate([0.90, 0.92, 0.97])))
    records.job(*({"model": "ae", "k": 1, "seed": s, "auroc": v} for s, v in enumerate([0.80, 0.82])))
    table = auroc()
    assert texts(table, "0")[1] == "0.930 ± 0.036 (n=3)"  # sqrt((0.03^2 + 0.01^2 + 0.04^2) / 2)
    assert texts(table, "1")[1] == "0.810 ± 0.014 (n=2)"
    assert texts(table, "mean")[1] == "0.870 ± 0.014 (n=2)"  # seeds 0 and 1 have both classes
    assert texts(table, "sd over classes")[1] == "0.085"  # class values 0.93 and 0.81
    assert texts(table, "95% CI over seeds")[1] == "[0.733, 0.987]"  # of 0.85 and 0.87: 0.86 ± 12.706 * 0.01


def test_updates_are_the_mean_of_the_cells_steps_and_fitted_models_have_none(records, auroc, frame_of):
    for model, steps in {"pca": (0, 0), "ae": (1000, 2000), "vae": (None, None)}.items():
        cells = [{"model": model, "k": k, "auroc": 0.9} for k in (0, 1)]
        more = [{"metrics": {"steps": float(n)}} if n is not None else {} for n in steps]
        records.job(*(cell | extra for cell, extra in zip(cells, more, strict=True)))
    assert texts(auroc(), "updates")[1:] == ["fit", "1,500", "—"]
    losses = next(t for t in group_tables(groups(frame_of())[0]) if t.key.startswith("losses"))
    assert [row[-1].text for row in losses.rows] == ["fit", "1,500", "—"]


def detection_of(frame):
    return next(t for t in group_tables(groups(frame)[0]) if t.key.startswith("detection"))


def test_detection_has_false_alarms_and_what_flagging_everything_gives(records, frame_of):
    at = {"precision": 0.95, "recall": 0.5, "f1": 0.655, "false_alarm_rate": 0.06}
    for k, (anomalous, alarms) in enumerate(((80.0, 0.06), (60.0, 0.05))):
        counts = {"n_test": 100.0, "n_test_anomalous": anomalous}
        metrics = at | {"false_alarm_rate": alarms, "average_precision": 0.99, "fpr95": 0.25}
        records.job({"model": "ae", "k": k, "auroc": 0.9, "metrics": metrics | counts})
        records.job({"model": "vae", "k": k, "auroc": 0.8, "metrics": counts})  # no threshold
    table = detection_of(frame_of())
    assert table.columns[2:] == ["AUROC ↑", "AP ↑", "FPR95 ↓", "precision ↑", "recall ↑", "F1 ↑", "false alarms"]
    assert texts(table, "ae") == ["ae", "2", "0.900", "0.990", "0.250", "0.950", "0.500", "0.655", "0.055"]
    assert texts(table, "vae")[-4:] == ["—"] * 4
    # shares of anomalies 0.8 and 0.6: precision 0.7, recall 1, F1 (1.6 / 1.8 + 1.2 / 1.6) / 2, every image flagged
    assert texts(table, "everything flagged") == ["everything flagged", *[""] * 4, "0.700", "1.000", "0.819", "1.000"]
    assert table.rules == {2}


def test_old_records_without_the_new_columns_still_make_every_table(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "metrics": {"precision": 0.9, "recall": 0.5, "f1": 0.6}})
    frame = frame_of()
    assert not {"auroc_se", "false_alarm_rate", "threshold", "n_calibration"} & set(frame.columns)
    tables = [table for tables in build_tables(frame).values() for table in tables]
    assert not any(table.key.startswith("intervals") for table in tables)
    assert texts(detection_of(frame), "ae")[-1] == "—"
    assert [row[0].text for row in detection_of(frame).rows] == ["ae"]  # its number of anomalies is not known
    assert texts(auroc_table(groups(frame)[0]), "updates")[1] == "—"


def test_losses_scores_and_gan_by_hand(records, frame_of):
    metrics = {
        "train/reconstruction": 10.0,
        "train/kl": 3.0,
        "auroc/cosine": 0.6,
        "gan/value": -1.2,
        "train_seconds": 4.0,
    }
    records.job({"model": "vae", "k": 0, "auroc": 0.9, "metrics": metrics})
    records.job({"model": "vae", "k": 1, "auroc": 0.7, "metrics": {**metrics, "train/reconstruction": 20.0}})
    records.job({"model": "pca", "k": 0, "auroc": 0.5}, {"model": "pca", "k": 1, "state": "missing"})
    tables = {t.key.split("_")[0]: t for t in group_tables(groups(frame_of())[0])}
    assert texts(tables["losses"], "vae")[:3] == ["vae", "2", "15.00"]
    assert texts(tables["losses"], "pca")[:3] == ["pca", "1/2", ""]
    assert texts(tables["scores"], "reconstruction") == ["reconstruction", "0.500 (1/2)†", "0.800†"]
    assert texts(tables["scores"], "cosine") == ["cosine", "", "0.600"]
    assert [row[0].text for row in tables["gan"].rows] == ["vae"]


def test_validation_and_leave_one_out_never_share_a_table_with_the_test_split(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9})
    records.job({"model": "vae", "k": 0, "auroc": 0.8, "split": "leave_one_out"})
    records.job({"model": "pca", "k": 0, "auroc": 0.7, "evaluate_on": "validation"})
    sections = {heading: tables[0].columns[1:] for heading, tables in build_tables(frame_of()).items()}
    assert sections["MNIST, one_vs_rest"] == ["ae"]
    assert sections["MNIST, leave_one_out"] == ["vae"]
    assert sections["MNIST, one_vs_rest, validation"] == ["pca"]


def test_published_rows_that_were_not_read_are_never_shown(tmp_path, records, frame_of):
    path = tmp_path / "published.csv"
    path.write_text(
        "dataset,protocol,method,normal_class,auroc,std,source,verified\n"
        "mnist,one_vs_rest,VAE,0,0.111,,A paper,no: from memory\n"
        "mnist,one_vs_rest,VAE,0,0.987,,A paper,yes: read\n"
        "mnist,leave_one_out,VAE,1,0.222,,A paper,yes: read\n",
        encoding="utf-8",
    )
    records.job({"model": "ae", "k": 0, "auroc": 0.9}, {"model": "ae", "k": 1, "auroc": 0.9})
    figures = read_published(path)
    table = beside_table(groups(frame_of())[0], figures)
    shown = to_csv(table) + "".join(map(to_csv, appendix_tables(figures, ["mnist"], {})))
    assert "0.987" in shown
    assert "0.111" not in shown
    assert "0.222" not in to_csv(table)  # another protocol
    assert "A paper" in to_markdown(table)


def test_every_shipped_published_figure_has_a_source_and_stands_beside_ours(records, frame_of):
    figures = read_published()
    assert all(f.source and 0 < f.auroc <= 1 for f in figures)
    records.job(*({"model": "ae", "k": k, "auroc": 0.9, "classes": 10} for k in range(10)))
    table = beside_table(groups(frame_of())[0], figures)
    assert texts(table, "AnoGAN")[-1] == "0.937"
    assert table.rules == {1}


def test_latex_escapes_everything():
    escaped = latex_escape(HOSTILE)
    bare = re.sub(r"\\[&%$#_{}]|\\text\w+\{\}|\\texttt\{U\+[0-9A-F]+\}", "", escaped)
    assert not re.search(r"[&%$#_{}~^\\<>|]", bare)
    assert latex_escape("—±†") == r"---$\pm$\dag{}"
    assert latex_escape("ae ▽") == r"ae $\bigtriangledown$"  # of LaTeX itself: \triangledown would need amssymb


def test_latex_has_a_symbol_for_every_character_that_the_tables_use():
    files = [*Path(published.__file__).parent.glob("*.py"), Path(statistics.__file__)]
    texts = [path.read_text(encoding="utf-8") for path in files if path.name != "formats.py"]  # which has the list
    used = {c for text in texts for c in text if c > "~"}
    assert "▽" in used
    assert [c for c in sorted(used) if "U+" in latex_escape(c)] == []


def test_markdown_and_csv_of_a_hostile_name(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "name": HOSTILE})
    table = auroc_table(groups(frame_of())[0])
    row = next(line for line in to_markdown(table).splitlines() if "alert" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 3  # two columns, whatever the name holds
    assert next(r for r in csv.reader(io.StringIO(to_csv(table))) if "alert" in r[0])[1] == "0.900"


def test_latex_fragment_uses_booktabs_and_one_row_end_a_line():
    table = Table("a_b", "T_1", ["x", "y"], [[Entry("r"), Entry("1", bold=True)], [Entry("s"), Entry("2")]], rules={1})
    lines = to_latex(table).splitlines()
    assert [line for line in lines if line.endswith(r"\\")] == [r"x & y \\", r"r & \textbf{1} \\", r"s & 2 \\"]
    assert [line for line in lines if "rule" in line] == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_latex_compiles(tmp_path, records, frame_of):
    metrics = {"auroc_se": 0.01, "latent/prior_mmd2": 0.1, "n_test": 10.0, "n_test_anomalous": 9.0}
    setting = {"name": HOSTILE, "variant": "latent=2 hidden=[4,2]", "metrics": metrics}
    records.job({"model": "pca", "k": 0, "auroc": 0.95}, {"model": "ae", "k": 0, "auroc": 0.9} | setting)
    tables = [table for tables in build_tables(frame_of()).values() for table in tables]
    (tmp_path / "tables").mkdir()
    for table in tables:
        (tmp_path / "tables" / f"{table.key}.tex").write_text(to_latex(table), encoding="utf-8")
    (tmp_path / "t.tex").write_text(latex_document(HOSTILE, tables), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def test_a_link_is_no_link_in_markdown_and_an_interval_stays_as_it_is() -> None:
    assert escape_markdown("[x](javascript:alert)") == "\\[x\\](javascript:alert)"
    assert escape_markdown("![x][y]") == "!\\[x\\]\\[y\\]"
    assert escape_markdown("[0.539, 0.775]") == "[0.539, 0.775]"


def test_cells_on_synthetic_anomalies_are_no_results_and_say_of_what_they_are(records, frame_of):
    records.job(*({"model": "ae", "k": k, "auroc": 0.9, "evaluate_on": "synthetic"} for k in (0, 1)))
    (group,) = groups(frame_of())
    table = auroc_table(group)
    assert table.title == "AUROC, MNIST, one_vs_rest, synthetic"
    assert table.notes[-2:] == [NO_RESULTS, MADE]
