"""A submission: a folder with a report, the model that made it, and ``claim.yaml``, which says what is claimed.

    model: mine                    # whose AUROC it is, as cells.csv names it
    variant: ""                    # the settings that set it apart, as cells.csv names them; default: none
    command: python -m benchmark -m --config-dir conf model=mine dataset=mnist seed=[0,1,2] experiment_name=mine
    config_dir: conf               # of the command, below the folder; default: none
    auroc: {mnist: 0.9712}         # data set: mean over the classes of the means over seeds, one_vs_rest, test images
    source: ""                     # a paper or page, free text; default: none

Read with a safe loader: reading a claim runs nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.config import UsageError
from benchmark.report.committed import Committed
from benchmark.report.statistics import class_mean, groups
from benchmark.say import one_line
from benchmark.store.files import RecordError

FILE = "claim.yaml"
KINDS = {"model": str, "variant": str, "command": str, "config_dir": str, "auroc": dict, "source": str}
NEEDED = ("model", "command", "auroc")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is claimed, and where the code for it is."""

    folder: Path
    model: str
    command: str
    auroc: Mapping[str, float] = field(default_factory=dict)
    variant: str = ""
    source: str = ""
    config: str = ""

    @property
    def config_dir(self) -> str | None:
        return str(self.folder / self.config) if self.config else None

    def check(self, committed: Committed) -> list[str]:
        """Hold the claim against its own report, of which nothing is run; a line for each number that is right.

        Raises ``RecordError`` for a number that cells.csv does not give, and for a command that did not make it.
        """
        commands = committed.manifest.get("commands", [])
        if self.command not in commands:
            raise RecordError(
                f"{self.folder / FILE}: its command is none of those that made the report: {' | '.join(commands)}. "
                "Write there what was typed"
            )
        return [self._checked(committed, dataset, number) for dataset, number in self.auroc.items()]

    def _checked(self, committed: Committed, dataset: str, number: float) -> str:
        frame, where = committed.frame, f"{self.folder / FILE}: auroc.{dataset}"
        own = frame[(frame["model"] == self.model) & (frame["variant"] == self.variant) & (frame["dataset"] == dataset)]
        of = [group for group in groups(own) if (group.split, group.evaluate_on) == ("one_vs_rest", "test")]
        if not of:
            raise RecordError(f"{where}: cells.csv has no cell of {self.model} on {dataset}, one_vs_rest, test images")
        mean = class_mean(of[0], "auroc", of[0].labels[0])
        digits = len(repr(number).partition(".")[2])
        if not mean.complete:
            raise RecordError(f"{where}: cells.csv has {mean.present} of {mean.expected} classes. Run the others too")
        if round(mean.value, digits) != number:
            raise RecordError(f"{where}={number}: cells.csv gives {mean.value:.{digits}f}. Write that")
        seeds = f"{len(of[0].seeds)} seeds" if len(of[0].seeds) > 1 else f"seed {of[0].seeds[0]}"
        return f"{self.model} on {dataset}: {number} is what cells.csv gives ({mean.present} classes, {seeds})."


def read_claim(folder: Path) -> Claim:
    """The claim in a folder. Raises ``UsageError`` if there is none, or it says something else than it should."""
    import yaml

    path = folder / FILE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(
            f"claim={folder}: {FILE} cannot be read ({one_line(error)}). docs/submit.md has one to copy"
        ) from error
    wrong = _fault(content)
    if wrong is not None:
        raise UsageError(f"{path}: {wrong}. docs/submit.md has one to copy")
    found = {name: value for name, value in content.items() if name != "config_dir"}
    found["auroc"] = {str(dataset): float(number) for dataset, number in content["auroc"].items()}
    config = content.get("config_dir", "")
    if config and not (folder / config).resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{path}: config_dir={config} is outside the folder. Put the configuration beside {FILE}")
    return Claim(folder=folder, config=config, **found)


def _fault(content: Any) -> str | None:
    if not isinstance(content, dict):
        return f"it holds no entries. It needs: {', '.join(NEEDED)}"
    if unknown := [name for name in content if name not in KINDS]:
        return f"{unknown[0]} is not known. Allowed: {', '.join(KINDS)}"
    if missing := [name for name in NEEDED if not content.get(name)]:
        return f"{missing[0]} is missing"
    if wrong := [name for name, value in content.items() if not isinstance(value, KINDS[name])]:
        return f"{wrong[0]} must be {'a text' if KINDS[wrong[0]] is str else 'numbers by data set'}"
    numbers = content["auroc"].values()
    if any(isinstance(number, bool) or not isinstance(number, float) or not 0 <= number <= 1 for number in numbers):
        return "auroc must be numbers from 0 to 1 by data set, such as {mnist: 0.9712}"
    return None
