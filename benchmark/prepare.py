"""Fetch and check data sets: ``python -m benchmark.prepare [dataset=NAME[,NAME...]|all] [data_dir=FOLDER]``.

Runs never download; this command does, once. Files come from the sources in ``conf/dataset/NAME.yaml``, in their order,
and SHA-256 decides which are taken. ``dataset=folder dataset.path=PATH`` reads images of your own
(docs/own_images.md). Without arguments it prepares mnist and fashion_mnist. ``--config-dir FOLDER`` adds
the data sets of a folder of your own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmark.config import UsageError
from benchmark.say import one_line
from benchmark.sweep.arguments import parse, small_command

OWN = ("path", "name", "image_size", "channels", "keep_aspect", "on_bad")  # settings of dataset=folder
KEYS = {
    "dataset": "NAME[,NAME...] or all",
    "data_dir": "a folder",
    **{f"dataset.{key}": "as python -m benchmark takes it" for key in OWN},
}
DEFAULT = "mnist,fashion_mnist"


def describe() -> str:
    """What ``--help`` prints."""
    from benchmark.data import dataset_names

    return f"{(__doc__ or '').strip()}\n\nData sets: {', '.join(dataset_names())}"


@small_command("prepare", describe)
def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code: 0, 1 if a data set could not be had, 2 for a wrong argument."""
    from benchmark.data.files import data_dir

    own, words = _own_folder(arguments)
    settings = parse(words, KEYS)
    names, folder = _names(settings.get("dataset", DEFAULT), own), data_dir(settings.get("data_dir"))
    typed = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith("dataset.")}
    if typed and names != ["folder"]:
        raise UsageError(f"dataset.{next(iter(typed))} is of dataset=folder. Type: dataset=folder dataset.path=...")
    if names == ["folder"]:
        _prepare_own(typed, folder)
        return 0
    done = [_prepare(name, folder, own) for name in names]  # all of them, whatever becomes of the first
    return 0 if all(done) else 1


def _own_folder(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The folder of ``--config-dir``, as ``python -m benchmark`` takes it, and the other arguments."""
    flag, words = "--config-dir", [word for argument in arguments for word in _parted(argument)]
    if flag not in words:
        return None, arguments
    from benchmark.sweep.flags import check_config_dir

    place = words.index(flag)
    if place + 1 == len(words):
        raise UsageError(f"{flag} has no value. Type for example: {flag} my_conf")
    check_config_dir(words[place + 1])
    return words[place + 1], words[:place] + words[place + 2 :]


def _parted(argument: str) -> list[str]:
    return argument.split("=", 1) if argument.startswith("--config-dir=") else [argument]


def _names(given: str, own: str | None) -> list[str]:
    """The data sets that were asked for. Raises ``UsageError`` for one that is none."""
    from benchmark.data import dataset_names

    there = dataset_names(own)
    names = [name for name in there if name != "folder"] if given == "all" else given.split(",")
    for name in names:
        if name not in there:
            raise UsageError(f"dataset={name}: there is no such dataset. There is: {', '.join(there)}, or all")
    return names


def _prepare_own(typed: dict[str, str], folder: Path) -> None:
    """Read images of one's own into the cache, or look at every file of them once more."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from benchmark.data import load_dataset_config
    from benchmark.data.folder import complete

    dataset = load_dataset_config("folder")
    for key, value in typed.items():
        try:
            OmegaConf.update(dataset, key, None if value == "null" else value)
        except OmegaConfBaseException as error:
            raise UsageError(f"dataset.{key}={value} is not allowed ({str(error).splitlines()[0]})") from error
    print(complete(dataset, folder, thorough=True), flush=True)


def _prepare(name: str, folder: Path, own: str | None) -> bool:
    from benchmark.data import load_dataset_config
    from benchmark.data.files import raw_folder
    from benchmark.data.sources import Unreachable, fetch

    dataset = load_dataset_config(name, own)
    try:
        if dataset.sha256:
            with _Progress() as progress:
                fetched = fetch(dataset, folder, progress.say, progress.report)
            state = f"fetched {len(fetched)} files, all verified" if fetched else "already there, verified"
        else:
            state = _through_torchvision(dataset, folder)
    except Unreachable as error:
        print(error, file=sys.stderr)
        return False
    from benchmark.data.images import load_images

    data = load_images(dataset, folder)
    where = f"from {dataset._target_}" if dataset._target_ else f"in {raw_folder(dataset, folder)}"
    counts = f"{len(data.train_labels):,} training and {len(data.test_labels):,} test images"
    print(f"{name}: {state}; {counts} {where}", flush=True)
    return True


def _through_torchvision(dataset: Any, folder: Path) -> str:
    """Data sets without listed checksums: torchvision fetches them and checks its own."""
    from benchmark.data.files import raw_folder
    from benchmark.data.sources import Unreachable, locked

    if dataset.torchvision_class is None:
        return "nothing to fetch"
    import socket

    import torchvision.datasets

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10.0)
    try:
        with locked(raw_folder(dataset, folder)):
            for train in (True, False):
                kind = getattr(torchvision.datasets, dataset.torchvision_class)
                kind(str(folder), train=train, download=True, **dict(dataset.options))
    except (OSError, EOFError, RuntimeError, ValueError, AssertionError) as error:
        raise Unreachable(
            f"{dataset.name}: torchvision could not fetch it ({one_line(error, 1000)}). By hand: place the files that "
            f"torchvision.datasets.{dataset.torchvision_class} reads in {raw_folder(dataset, folder)}"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return "checked by torchvision"


class _Progress:
    """Bytes as they arrive: a bar a file on a terminal, a line a file elsewhere; to stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        self.console = Console(stderr=True)
        columns = TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
        self.bars = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.tasks: dict[str, Any] = {}  # file -> its bar
        self.start: dict[str, float] = {}

    def __enter__(self) -> _Progress:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def report(self, name: str, done: int, total: int | None) -> None:
        """So many bytes of a file are there."""
        now = time.perf_counter()
        start = self.start.setdefault(name, now)
        if self.console.is_terminal:
            if name not in self.tasks:
                self.tasks[name] = self.bars.add_task(name, total=total)
            self.bars.update(self.tasks[name], completed=done, total=total)
        elif total is not None and done >= total:
            self.say(
                f"  {name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB, {done / 1e6 / max(now - start, 1e-6):.1f} MB/s"
            )


if __name__ == "__main__":
    sys.exit(main())
