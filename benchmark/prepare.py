"""Fetch and check data sets: ``python -m benchmark.prepare [dataset=NAME[,NAME...]|all] [data_dir=FOLDER]``.

Runs never download; this command does, once. Files come from the sources in ``conf/dataset/NAME.yaml``, in their order,
and SHA-256 decides which are taken. Without arguments it prepares mnist and fashion_mnist.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmark.config import UsageError
from benchmark.say import one_line
from benchmark.sweep.signals import ends_in_order

DEFAULT = ("mnist", "fashion_mnist")


@ends_in_order("prepare")
def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 if a data set could not be had, 2 for a wrong argument."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if any(argument in ("-h", "--help") for argument in arguments):
        from benchmark.data import dataset_names

        print(f"{(__doc__ or '').strip()}\n\nData sets: {', '.join(dataset_names())}")
        return 0
    try:
        names, folder = _parse(arguments)
        done = [_prepare(name, folder) for name in names]  # all of them, whatever becomes of the first
        return 0 if all(done) else 1
    except UsageError as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 2


def _parse(arguments: list[str]) -> tuple[list[str], Path]:
    from benchmark.data import dataset_names
    from benchmark.data.files import data_dir

    values = {"dataset": ",".join(DEFAULT), "data_dir": None}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals == "" or key not in values or value == "":
            raise UsageError(f"{argument}: allowed are dataset=NAME[,NAME...]|all and data_dir=FOLDER")
        values[key] = value
    names = dataset_names() if values["dataset"] == "all" else str(values["dataset"]).split(",")
    for name in names:
        if name not in dataset_names():
            raise UsageError(
                f"dataset={name}: there is no such dataset. There is: {', '.join(dataset_names())}, or all"
            )
    return names, data_dir(values["data_dir"])


def _prepare(name: str, folder: Path) -> bool:
    from benchmark.data import load_dataset_config
    from benchmark.data.sources import Unreachable, fetch

    dataset = load_dataset_config(name)
    progress = _Progress()
    try:
        if dataset.sha256:
            fetched = fetch(dataset, folder, progress.say, progress.report)
            state = f"fetched {len(fetched)} files, all verified" if fetched else "already there, verified"
        else:
            state = _through_torchvision(dataset, folder)
    except Unreachable as error:
        progress.end()
        print(error, file=sys.stderr)
        return False
    progress.end()
    from benchmark.data.images import load_images

    data = load_images(dataset, folder)
    where = f"in {folder / dataset.raw_dir}" if dataset.raw_dir else "from scikit-learn"
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
    """Bytes as they arrive: one moving line on a terminal, a line a file elsewhere; to stderr."""

    def __init__(self) -> None:
        self.terminal, self.last, self.start, self.open = sys.stderr.isatty(), 0.0, {}, False

    def say(self, text: str) -> None:
        self.end()
        print(text, file=sys.stderr, flush=True)

    def report(self, name: str, done: int, total: int | None) -> None:
        now = time.perf_counter()
        start = self.start.setdefault(name, now)
        finished = total is not None and done >= total
        if not finished and (not self.terminal or now - self.last < 0.1):
            return
        self.last = now
        size = f"{done / 1e6:.1f} MB" if total is None else f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
        text = f"  {name}: {size}, {done / 1e6 / max(now - start, 1e-6):.1f} MB/s"
        print(
            f"\r{text}\033[K" if self.terminal else text, end="" if self.terminal else "\n", file=sys.stderr, flush=True
        )
        self.open = self.terminal

    def end(self) -> None:
        if self.open:
            print(file=sys.stderr, flush=True)
        self.open = False


if __name__ == "__main__":
    sys.exit(main())
