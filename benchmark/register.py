"""Register a logged model in MLflow: ``python -m benchmark.register experiment=parts name=parts``.

The model of the largest AUROC among those of one data set, class and kind of images gets a version under that name,
and an alias that names it, so that ``mlflow models serve -m models:/parts@champion`` serves it.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from benchmark.config import UsageError
from benchmark.sweep.arguments import help_text, parse, small_command

WHAT = "Register the best model of an experiment in MLflow, under a name and an alias."
KEYS = {
    "experiment": "the experiment (experiment_name of the runs)",
    "name": "name of the registered model",
    "alias": "alias of the version that it gets (default: champion)",
    "model": "only models of this kind: vae",
    "dataset": "only those of this data set",
    "class": "only those of this class, by number",
    "seed": "only those of this seed",
    "output_dir": "where the runner wrote (default: outputs)",
    "uri": "address of the store (default: MLFLOW_TRACKING_URI, else the one in output_dir)",
}
TAGS = {"model": "model", "dataset": "dataset", "class": "normal_class", "seed": "seed"}


@small_command("benchmark.register", lambda: help_text(WHAT, "benchmark.register", KEYS, "experiment=parts name=parts"))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: the model is registered, 2: an argument is refused."""
    settings = parse(arguments, KEYS)
    for key in ("experiment", "name"):
        if not settings.get(key):
            raise UsageError(f"{key}= is missing. Type for example: experiment=parts name=parts")
    from benchmark.tracking.registry import register

    only = {tag: settings[key] for key, tag in TAGS.items() if key in settings}
    made = register(
        settings.get("uri"),
        Path(settings.get("output_dir", "outputs")),
        settings["experiment"],
        settings["name"],
        settings.get("alias", "champion"),
        only,
    )
    auroc = "no AUROC" if made.auroc is None else f"AUROC {made.auroc:.4f}"
    on = "" if made.auroc is None or made.images == "test" else f" on {made.images} images"
    print(f"{made.name} version {made.version}, alias {made.alias}: {made.of}, {auroc}{on}.")
    if made.left_out:
        print(f"Compared on {made.images} images alone; left out, as judged on others: {made.left_out}.")
    address = shlex.quote(f"models:/{made.name}@{made.alias}")
    print(
        f"Serve it: MLFLOW_TRACKING_URI={shlex.quote(made.store)} mlflow models serve -m {address} --env-manager local"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
