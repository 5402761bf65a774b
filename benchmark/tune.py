"""Search a model's settings with Optuna, trial after trial: ``python -m benchmark.tune``.

    python -m benchmark.tune model=vae dataset=mnist split.evaluate_on=synthetic experiment_name=tuned trials=20 \\
        'model.latent=int(4,64)' 'model.learning_rate=log(1e-4,1e-2)'

A trial is one ordinary job: its cells have records, runs in MLflow and a place in reports, as if they had been typed.
Optuna (Akiba et al. 2019, arXiv:1907.10902) proposes settings by its tree-structured Parzen estimator (Bergstra et al.
2011) and is told the mean of the cells' AUROC, on validation images or synthetic anomalies: never on test images. The
study is the SQLite file ``output_dir/optuna.db``, named as the experiment; the same command goes on with it. What is
proposed in a trial depends on the seed, its number and the trials before, so that an interrupted study ends as one that
was not. One process at a time may work on a study.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.seeds import derive_seed
from benchmark.sweep.arguments import help_text, parse, small_command

if TYPE_CHECKING:
    import optuna

    from benchmark.sweep.compose import ComposedCommand

KEYS = {
    "trials": "how many there are to be in all, those of before among them; default: 20",
    "metric": "what is made as large as possible: auroc, or a rule's that judges the cells (auroc/rule_ssim); "
    "default: auroc",
    "sampler_seed": "from which Optuna's proposals are drawn; default: 0",
}
WHAT = (
    "Search settings with Optuna. Everything else that is typed is as for python -m benchmark; a range of a setting is "
    "'model.latent=int(4,64)', 'model.scale=float(0.1,0.4)', 'model.learning_rate=log(1e-4,1e-2)' (a float by its "
    "logarithm) or 'model.hidden=choice([256],[400,200])'."
)
EXAMPLE = "model=vae dataset=mnist split.evaluate_on=synthetic experiment_name=tuned trials=20 'model.latent=int(4,64)'"
RANGE = re.compile(r"(int|float|log|choice)\((.*)\)")
DIGITS = 3  # significant ones of a float that is tried: a cell is called by it
FILE = "optuna.db"


@dataclass(frozen=True)
class Range:
    """The values of one setting."""

    kind: str  # int | float | log | choice
    options: tuple[Any, ...]  # lowest and highest, or all choices as they are typed

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna has it."""
        from optuna import distributions

        if self.kind == "choice":
            return distributions.CategoricalDistribution(self.options)
        if self.kind == "int":
            return distributions.IntDistribution(*self.options)
        return distributions.FloatDistribution(*self.options, log=self.kind == "log")


@small_command("benchmark.tune", lambda: help_text(WHAT, "benchmark.tune", KEYS, EXAMPLE))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: the study has its trials, 1: none of them is done, 2: an argument is refused."""
    own = [word for word in arguments if word.partition("=")[0] in KEYS]
    settings = parse(own, KEYS)
    fixed, space = read_words([word for word in arguments if word not in own])
    trials, seed = _whole(settings, "trials", 20, least=1), _whole(settings, "sampler_seed", 0, least=0)
    metric = settings.get("metric", "auroc")
    config = _checked(fixed, space)
    study = _study(
        config, {"fixed": fixed, "space": {k: str(v) for k, v in space.items()}, "metric": metric, "seed": seed}
    )
    _search(study, fixed, space, metric, trials, seed)
    return _say_best(study, fixed, metric)


def read_words(words: Sequence[str]) -> tuple[list[str], dict[str, Range]]:
    """What every trial has, and the ranges of what is searched by key.

    Raises ``UsageError`` for a range that is none, if there is none at all, and for flags that would run other jobs.
    """
    fixed, space = [], {}
    for word in words:
        key, _, value = word.partition("=")
        found = RANGE.fullmatch(value)
        if found is None:
            fixed.append(word)
        else:
            space[key] = _range(word, *found.groups())
    if flag := next((word for word in fixed if word in ("-m", "--multirun", "--help", "-h")), None):
        raise UsageError(f"{flag}: a trial is one job. Leave it out; a range is typed 'model.latent=int(4,64)'")
    if not space:
        raise UsageError(f"no range is given to search in. Type for example: python -m benchmark.tune {EXAMPLE}")
    return fixed, space


def _range(word: str, kind: str, inside: str) -> Range:
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", inside)]  # no comma within brackets parts
    if kind == "choice":
        if len(set(parts)) < 2 or not all(parts):
            raise UsageError(f"{word}: at least two different choices are needed. Type for example: choice(a,b)")
        return Range(kind, tuple(parts))
    example = {"int": "int(4,64)", "float": "float(0.1,0.4)", "log": "log(1e-4,1e-2)"}[kind]
    try:
        low, high = (int(part) if kind == "int" else float(part) for part in parts)
    except ValueError:
        raise UsageError(f"{word}: a range is two numbers, lowest and highest. Type for example: {example}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (kind == "log" and low <= 0):
        above = " of at least something above 0" if kind == "log" else ""
        raise UsageError(f"{word}: the first must be the smaller number{above}. Type for example: {example}")
    return Range(kind, (low, high))


def _whole(settings: Mapping[str, str], key: str, default: int, least: int) -> int:
    given = settings.get(key, str(default))
    if not given.isascii() or not given.isdigit() or not least <= int(given) < 2**32:
        raise UsageError(f"{key}={given} is not allowed: it must be a whole number of at least {least}")
    return int(given)


def _checked(fixed: Sequence[str], space: Mapping[str, Range]) -> Any:
    """The configuration of a trial that could be. Raises ``UsageError`` if the ends of a range make no sense."""
    from benchmark.sweep.check import check_jobs

    count = max(len(one.options) for one in space.values())
    ends = [{key: one.options[i % len(one.options)] for key, one in space.items()} for i in range(count)]
    commands = [_composed(fixed, values) for values in ends]
    configs = [command.jobs[0].config for command in commands]
    if configs[0].split.evaluate_on == "test":
        raise UsageError(
            "split.evaluate_on=test: settings that are searched by test images are fitted to them, and AUROC there "
            "says nothing more of new ones. Type split.evaluate_on=validation, or synthetic without any known anomaly"
        )
    if not commands[0].launcher.is_basic:
        raise UsageError(
            f"the launcher {commands[0].launcher.name} runs the jobs of a sweep, and a trial is one: leave it out"
        )
    _refuse_without_optuna()
    check_jobs(configs, commands[0].launcher)
    return configs[0]


def _refuse_without_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"Optuna, which proposes the settings, is not installed ({error}). Type: pip install 'optuna>=5,<6'"
        ) from error


def _composed(fixed: Sequence[str], values: Mapping[str, Any]) -> ComposedCommand:
    from benchmark.sweep.compose import compose_command

    return compose_command([*fixed, *words_of(values)])


def words_of(values: Mapping[str, Any]) -> list[str]:
    """Values of a trial as they are typed, floats with three significant digits.

    >>> words_of({"model.latent": 12, "model.learning_rate": 0.000123456})
    ['model.latent=12', 'model.learning_rate=0.000123']
    """
    return [
        f"{key}={value:.{DIGITS}g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    ]


def _study(config: Any, what: dict[str, Any]) -> optuna.Study:
    """The study of this experiment, made or gone on with. Raises ``UsageError`` if it was one of something else."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = Path(config.output_dir, FILE).resolve()
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{path}", study_name=config.experiment_name, direction="maximize", load_if_exists=True
        )
    except Exception as error:  # of SQLAlchemy, which Optuna passes on
        from benchmark.say import named

        raise UsageError(f"{path} cannot be used ({named(error)}). Type output_dir=<a folder>") from error
    text, before = json.dumps(what, sort_keys=True), study.user_attrs.get("what")
    if before is None:
        study.set_user_attr("what", text)
    elif before != text:
        raise UsageError(
            f"experiment_name={config.experiment_name} has a study of other words, ranges, metric or seed in {path}: "
            f"{before}. Type experiment_name=<another name>, or what was typed then"
        )
    return study


def _search(
    study: optuna.Study, fixed: Sequence[str], space: Mapping[str, Range], metric: str, trials: int, seed: int
) -> None:
    import optuna
    from optuna.trial import TrialState

    ranges = {key: one.distribution() for key, one in space.items()}
    for left in study.get_trials(states=(TrialState.RUNNING,)):  # an interrupted process asked for it
        _run_trial(study, left.number, left.params, fixed, metric, trials)
    while len(study.trials) < trials:
        number = len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=derive_seed("tune", seed, number) % 2**32)
        trial = study.ask(ranges)
        _run_trial(study, trial.number, trial.params, fixed, metric, trials)


def _run_trial(
    study: optuna.Study, number: int, values: Mapping[str, Any], fixed: Sequence[str], metric: str, trials: int
) -> None:
    """Run the job of a trial, and tell the study what came of it; one that cannot be run or is not done has failed."""
    from optuna.trial import TrialState

    from benchmark.say import warn

    words, name = words_of(values), f"Trial {number + 1} of {trials}"
    try:
        value = _value([*fixed, *words], metric)
    except UsageError as error:
        study.tell(number, state=TrialState.FAIL)
        if not study.get_trials(states=(TrialState.COMPLETE,)):
            raise
        warn(f"{name} cannot be run: {error}")
        return
    if value is None:
        study.tell(number, state=TrialState.FAIL)
        warn(f"{name} has failed, and says nothing: {' '.join(words)}")
        return
    study.tell(number, value)
    best = study.best_trial
    print(
        f"{name}: {metric} {value:.4f} (best {best.value:.4f}, trial {best.number + 1}): {' '.join(words)}", flush=True
    )


def _value(words: Sequence[str], metric: str) -> float | None:
    """The mean of a metric over the cells of a job that these words run; None if not all of them are done."""
    from benchmark.store.finished import finished_record
    from benchmark.sweep.check import check_jobs
    from benchmark.sweep.compose import compose_command
    from benchmark.sweep.sweep import Sweep

    start, command = time.perf_counter(), compose_command(words)
    check_jobs([job.config for job in command.jobs], command.launcher)
    sweep = Sweep(command, f"python -m benchmark {shlex.join(words)}", start)
    sweep.plan()
    if sweep.run(list(words)):
        return None
    records = [finished_record(one.output_dir, one.cell) for one in sweep.planned]
    found = [record.metrics for record in records if record is not None]
    if len(found) < len(records):
        return None
    if any(metric not in each for each in found):
        known = sorted(key for key in found[0] if key == "auroc" or key.startswith("auroc/"))
        raise UsageError(
            f"metric={metric}: no cell has it. There is: {', '.join(known)}. Rules: rule=ssim judges by one"
        )
    return fmean(each[metric] for each in found)


def _say_best(study: optuna.Study, fixed: Sequence[str], metric: str) -> int:
    from optuna.trial import TrialState

    done = study.get_trials(states=(TrialState.COMPLETE,))
    if not done:
        print("benchmark.tune: no trial is done", file=sys.stderr)
        return 1
    best, counted = study.best_trial, f"{len(done)} of {len(study.trials)} trials are done"
    print(f"{counted}. The best is trial {best.number + 1}: {metric} {best.value:.4f}.")
    search = ("split.evaluate_on", "split.test_limit", "experiment_name", "rule")
    words = [word for word in fixed if word.partition("=")[0] not in search]
    print(f"Use it: python -m benchmark {shlex.join([*words, *words_of(best.params)])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
