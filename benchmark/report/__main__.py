"""The command line: ``python -m benchmark.report [experiment=quick] [key=value ...]``."""

from __future__ import annotations

import io
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.sweep.arguments import help_text, small_command, true_or_false
from benchmark.sweep.arguments import parse as arguments_of

if TYPE_CHECKING:
    from benchmark.report.build import Report

KEYS = {
    "experiment": "name of the experiment (experiment_name of the runs); default: quick",
    "output_dir": "where the runner wrote; default: outputs",
    "results_dir": "where the report goes; default: <output_dir>/reports/<experiment>",
    "publish": "true | false: to results/<experiment> instead, which is committed; default: false",
    "replace": "true | false: even if done cells of the report in that folder would be lost, or files that no report "
    "wrote; default: false",
    "stale": "true | false: publish even cells of other code or numerics than these; default: false",
    "carry": "true | false: keep cells of the published report that have no record here (docs/parts.md); default: "
    "false",
    "explorer": "true | false: also explorer.html, the images on which models and rules disagree most, with what each "
    "model makes of them, from weights and data; default: false",
    "brief": "true | false: only what others compute from, cells.csv, tables.md and manifest.json, without hashes of "
    "scores, and the figures that figures= names: for cells behind a choice (docs/parts.md); default: false",
    "source": "folders: the cells below output_dir | mlflow: the MLflow store",
    "uri": "for source=mlflow: address of the store; default: MLFLOW_TRACKING_URI, else the one in output_dir",
    "beside": "a published experiment (a folder of results) whose columns stand beside these, marked, as committed",
    "beside_model": "only these models of it: ae,vae; default: all",
    "scores": "a Parquet file to write, with the scores of every image; docs/verify.md has a reader",
    "scores_of": "headline | chosen: and the chosen rule | all: and every rule; default: chosen",
    "scores_as": "values | levels: a third of it, AUROC and ROC curve as they are, no sums of rules; default: values",
    "scores_seed": "only cells of these seeds: 0 or 0,1; default: all",
    "figures": "true: PNG, which the page shows | pdf: also PDF | means: of means and ranks, none of single images | "
    "rules, sensitivity: those of models by rules, or of swept settings, alone | false: none; default: true, with "
    "brief=true false",
}
HELP = help_text(
    "Set models side by side: tables, figures and a page from the records of an experiment. Never trains.",
    "benchmark.report",
    KEYS,
)


@small_command("benchmark.report", lambda: HELP)
def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code: 0, 1 without records, 2 for an argument that is refused."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without some characters still shows the rest
    settings = parse(arguments)
    from benchmark.report.build import NoRecords, build_report

    words = [os.fsencode(word).decode("utf-8", "replace") for word in arguments]
    try:
        report = build_report(**settings, command=f"python -m benchmark.report {shlex.join(words)}".strip())
    except (NoRecords, OSError) as error:
        print(f"benchmark.report: {error}", file=sys.stderr)
        return 1
    show(report, settings)
    return 0


def parse(arguments: list[str]) -> dict[str, Any]:
    """The settings in ``key=value`` arguments. Raises ``UsageError`` for anything else."""
    settings: dict[str, Any] = {**arguments_of(arguments, KEYS)}
    for key in ("publish", "replace", "stale", "explorer", "carry", "brief"):
        if key in settings:
            settings[key] = true_or_false(settings, key, True)
    drawn = {"true": True, "false": False}
    if "figures" in settings:
        settings["figures"] = drawn.get(settings["figures"], settings["figures"])
    return settings


def show(report: Report, settings: dict[str, Any]) -> None:
    """Print the main tables, what is not done, where the files are and what to type next."""
    from rich.console import Console
    from rich.text import Text

    from benchmark.report.manifest import MAIN
    from benchmark.report.page import EXPLORER
    from benchmark.report.tables.formats import to_rich

    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else 140)
    for tables in report.sections.values():
        for table in tables:
            if table.key.startswith(("chosen_", "auroc_", "tests_")):
                console.print(to_rich(table))
    for warning in report.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"))
    rows = report.not_done
    console.print(Text(f"{len(report.frame) - len(rows)} of {len(report.frame)} cells are done."))
    for row in rows.to_dict("records"):
        variant = f" ({row['variant']})" if row["variant"] != "" else ""
        axes = f"{row['dataset']} {row['split']} class {row['normal_class']} seed {row['seed']}"
        where = f"{row['model']}{variant} {axes}"
        console.print(Text(f"  {row['state']}: {where}: {row['reason']}", style="yellow"))
    folder = report.results_dir.as_posix()
    shown = [
        *(name for name in (*MAIN, EXPLORER) if name in report.files),
        *(f"{name}/" for name in ("tables", "figures") if any(f.startswith(f"{name}/") for f in report.files)),
    ]
    console.print(Text(f"\n{len(report.files)} files in {folder}: {', '.join(shown)}"))
    if "scores" in settings:
        console.print(Text(f"Scores of every image in {settings['scores']}: docs/verify.md has a reader."))
    console.print(Text("Next:"))
    for command in _next(report, settings):
        console.print(Text(f"  {command}"), soft_wrap=True)


def _next(report: Report, settings: dict[str, Any]) -> list[str]:
    """What to type after a report; MLflow's page only where there is a store of its own kind to look into."""
    page = shlex.quote(f"{report.results_dir.as_posix()}/report.html")
    viewer = "open" if sys.platform == "darwin" else "xdg-open"
    database = Path(settings.get("output_dir", "outputs"), "mlflow.db")
    uri = settings.get("uri", f"sqlite:///{database.as_posix()}" if database.exists() else "")
    return [
        *([f"{viewer} {page}"] if "report.html" in report.files else []),
        *([f"mlflow ui --backend-store-uri {shlex.quote(uri)}"] if uri and not uri.startswith("http") else []),
        _choice(report, settings)
        or "python -m benchmark -m model=vae,ae dataset=mnist model.latent=2,8,32 experiment_name=latent",
    ]


def _choice(report: Report, settings: dict[str, Any]) -> str:
    """What chooses by the cells of a report; "" for cells on test images, which choose nothing, and for a mixture."""
    on = set(report.frame["evaluate_on"])
    if len(on) > 1 or "test" in on:
        return ""
    words = [f"experiment={settings.get('experiment', 'quick')}"]
    words += [f"output_dir={settings['output_dir']}"] if "output_dir" in settings else []
    if settings.get("carry") or settings.get("source") == "mlflow":  # not all of them have a record in output_dir
        words = [f"cells={report.results_dir.as_posix()}/cells.csv"]
    return f"python -m benchmark.select {shlex.join(words)}"


if __name__ == "__main__":
    sys.exit(main())
