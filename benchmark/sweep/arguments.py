"""What the small commands share: ``--help``, ``key=value`` arguments, errors in one line, and exit codes.

And ``annotate``, for ``--help`` of the large one: the comments of ``conf/`` beside the configuration that Hydra prints.
Where the YAML says nothing of an option, the schema in ``benchmark/config.py`` does, or EVERY of what all models have.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from benchmark import config
from benchmark.config import CONF_DIR, LONGEST, UsageError
from benchmark.store.files import RecordError
from benchmark.sweep.signals import ends_in_order, refuse_to_explain

Main = Callable[[list[str] | None], int]
SCHEMA = Path(config.__file__)
EVERY = {  # of a model: keywords that mean the same in all of them
    "name": "in records and tables",
    "_target_": "its class",
    "headline": "the score whose AUROC stands in the tables, one of those that the model's page in docs/models/ has",
    "epochs": "passes over the training images; trainer.epochs counts more",
    "batch_size": "images of an update; trainer.batch_size counts more",
    "learning_rate": "of Adam",
    "weight_decay": "of Adam: the squared weights' share of the loss",
}
HIDDEN = ("dataset.sha256", "dataset.sources")  # of files: nothing to choose


def small_command(name: str, describe: Callable[[], str]) -> Callable[[Callable[[list[str]], int]], Main]:
    """Decorator that makes the ``main`` of a small command of what takes its arguments and returns its exit code.

    ``describe`` gives what ``--help`` prints. What is refused (``UsageError``) ends it with exit code 2, what is found
    broken (``RecordError``) with 1, each in one line.
    """

    def decorate(run: Callable[[list[str]], int]) -> Main:
        @ends_in_order(name)
        def main(arguments: list[str] | None = None) -> int:
            """Run the command line and return the exit code."""
            words = list(sys.argv[1:] if arguments is None else arguments)
            if any(word in ("--help", "-h") for word in words):
                print(describe())
                return 0
            try:
                return run(words)
            except (UsageError, RecordError) as error:
                refuse_to_explain()
                print(f"{name}: {error}", file=sys.stderr)
                return 2 if isinstance(error, UsageError) else 1

        main.__doc__ = run.__doc__
        return main

    return decorate


def parse(arguments: list[str], keys: Mapping[str, str]) -> dict[str, str]:
    """The settings in ``key=value`` arguments; ``keys`` are those allowed, with what they mean.

    Raises ``UsageError`` for anything else, and for an ``experiment`` that cannot be one.
    """
    settings: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key not in keys or equals == "":
            near = get_close_matches(key, keys, 1)
            hint = f"did you mean {near[0]}=...? " if near else ""
            raise UsageError(f"{argument} is not known; {hint}Allowed: {', '.join(f'{k}=...' for k in keys)}")
        if value == "":
            raise UsageError(f"{key}= has no value. Type {key}=<a value>, or leave it out")
        settings[key] = value
    if "/" in settings.get("experiment", "") or settings.get("experiment", "").startswith("."):
        raise UsageError(f"experiment={settings['experiment']} is not a name. Type for example: experiment=quick")
    if len(settings.get("experiment", "").encode(errors="replace")) > LONGEST:
        short = settings["experiment"][:40]
        raise UsageError(
            f"experiment={short}... is no name of an experiment, which has at most {LONGEST} bytes. "
            "Type for example: experiment=quick"
        )
    return settings


def true_or_false(settings: Mapping[str, str], key: str, default: bool) -> bool:
    """A setting that is one of two. Raises ``UsageError`` for anything else."""
    given = settings.get(key, str(default).lower())
    if given not in ("true", "false"):
        raise UsageError(f"{key}={given} is not allowed: it must be true or false. Type: {key}=true")
    return given == "true"


def help_text(what: str, module: str, keys: Mapping[str, str], words: str = "experiment=paper") -> str:
    """What ``--help`` prints, with ``words`` as the example."""
    lines = [f"  {key:<12} {text}" for key, text in keys.items()]
    example = f"Example: python -m {module} {words}"
    return "\n".join([what, "", f"python -m {module} [key=value ...]", "", *lines, "", example])


def resuming(command: str) -> str:
    """``command`` without what would make it run finished cells again."""
    words = shlex.split(command)
    kept = [word for word in words if word.partition("=")[0] != "resume"]
    return command if kept == words else shlex.join(kept)


def annotate(text: str, choices: Mapping[str, str], own: str | None = None) -> str:
    """``text`` with a comment behind every option that has one, and without checksums and sources.

    ``choices`` are the options chosen in each group: they name the files that the comments are in, here or in the
    folder ``own`` of ``--config-dir``.
    """
    comments = {f"model.{key}": comment for key, comment in EVERY.items()} | _of_schema() | _comments("", "config", own)
    for group, option in choices.items():
        comments |= _comments(group, option, own)
    lines, section, hidden = [], "", False
    for line in text.split("\n"):
        key = ""
        if found := re.match(r"(|  )(\w+):(?: |$)", line):
            if found[1] == "":
                section = found[2]
            key = f"{section}.{found[2]}" if found[1] else section
            hidden = key in HIDDEN
        if not hidden:
            lines.append(f"{line:<30}  # {comments[key]}" if key in comments else line)
    return "\n".join(lines)


def _comments(group: str, option: str, own: str | None) -> dict[str, str]:
    """Full key -> the comment on its line in the YAML of an option; nothing if there is no such file."""
    paths = [Path(folder, group, f"{option}.yaml") for folder in (CONF_DIR, own) if folder is not None]
    lines = next((path.read_text(encoding="utf-8").splitlines() for path in paths if path.is_file()), [])
    return {f"{group}.{key}".lstrip("."): comment for key, comment in _beside(lines, "").items()}


def _of_schema() -> dict[str, str]:
    """Full key -> the comment on its line in the classes of the schema."""
    found: dict[str, str] = {}
    for part in re.split(r"^(?=class \w+)", SCHEMA.read_text(encoding="utf-8"), flags=re.MULTILINE):
        if named := re.match(r"class (\w*)Config\b", part):
            group = named[1].lower()
            found |= {
                f"{group}.{key}".lstrip("."): comment for key, comment in _beside(part.splitlines(), "    ").items()
            }
    return found


def _beside(lines: Iterable[str], indent: str) -> dict[str, str]:
    """Key -> the comment behind it, with the lines below it that are nothing but more of the comment.

    >>> _beside(["a: 1   # one", "       # and two", "b: 2", "# three"], "")
    {'a': 'one and two'}
    """
    found: dict[str, str] = {}
    last = ""
    for line in lines:
        if more := re.match(rf"{indent}\s+#\s+(.*)", line):
            if last:
                found[last] += f" {more[1]}"
            continue
        match = re.match(rf"{indent}(\w+):.*?\s#\s+(.*)", line)
        last = match[1] if match else ""
        if match:
            found[last] = match[2]
    return found
