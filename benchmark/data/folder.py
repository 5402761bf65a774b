"""``dataset=folder``: somebody's own images, read once and then mapped into memory (docs/own_images.md).

``complete`` makes a configuration of it whole: what only the images say (classes, channels, a name if none was typed)
is filled in, so that all other code finds a data set like any other. ``own_arrays`` gives the images of such a one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config import LONGEST, UsageError, is_plain_name, refusal
from benchmark.data import dataset_names, is_own
from benchmark.data.cache import About, Mapped, Report, Way, cached, discard, mapped, of_content, version_of
from benchmark.data.classes import allowed_name
from benchmark.data.files import data_dir, typed_path
from benchmark.data.judging import in_words
from benchmark.data.layouts import Found, find, listed
from benchmark.data.reading import size_of
from benchmark.say import shown, warn

SIZES = range(28, 129)  # pixels along a side
ON_BAD = ("stop", "skip")
FOUND = ("classes", "skipped", "content")  # keys that are found, not typed
COMPLETED = ("name", "path", "channels", *FOUND)  # those that ``complete`` fills in
ESCAPED = "\\x24{"  # ${, with which a configuration would begin to look something up
LOOKED_AT = 10  # images whose size is looked up until one has any
MOST_NAMED = 20  # of what was left out, in a record


def complete_all(configs: Sequence[Any]) -> list[str]:
    """``complete`` of the data sets of many jobs, those that are the same once; returns what is to be said.

    Each of ``configs`` has a ``dataset`` and a ``data_dir``, as it is typed.
    """
    said, known = [], {}
    for config in configs:
        typed = repr((config.dataset, config.data_dir))
        if typed not in known:
            text = complete(config.dataset, data_dir(config.data_dir))
            said += [] if text is None else [text]
            known[typed] = {key: config.dataset[key] for key in COMPLETED}
        for key, value in known[typed].items():
            config.dataset[key] = value
    _refuse_namesakes([config.dataset for config in configs])
    return said


def complete(dataset: Any, folder: Path, thorough: bool = False) -> str | None:
    """Fill in what is to be found in the images, after reading them if need be; returns a line that says what it is.

    None for a data set that needs none of it, or has it. ``thorough`` looks at the content of every file, whatever its
    time of change. Raises ``UsageError`` for settings and paths that are of no use, and for all faults of the images at
    once unless ``on_bad=skip``.
    """
    if not is_own(dataset) or dataset.content is not None:
        return None
    way = _way(dataset)
    found = find(way.path)
    _refuse_labels(way, found)
    with _progress(way.path) as report:
        about, is_new = cached(way, found, folder, report, thorough)
    if about.faults and dataset.on_bad == "stop":
        raise UsageError(
            f"{way.key}: {_many(about.faults, 'fault')} in {about.found:,} images: {in_words(about.faults)}. Put them "
            "right, or type dataset.on_bad=skip, which leaves them out and only tests on classes that have too few"
        )
    _fill(dataset, way, about)
    place = shown(str(way.place(folder)))
    where = f"read into {place}" if is_new else f"in {place}"
    what = f"{_in_words(way, about, found)}{_left_out(found.left_out)}"
    return f"dataset=folder: {shown(str(way.path))}: {what}; {where}{_skipped(about)}"


def own_arrays(dataset: Any, folder: Path) -> list[np.ndarray]:
    """Images uint8 (N, C, H, W), mapped, and labels (N,) of both splits, of a data set that is complete.

    Checked against ``dataset.content``. Raises ``UsageError`` if the images are others now.
    """
    found = _mapped(dataset, folder)
    if found is None:
        from omegaconf import OmegaConf

        again = OmegaConf.create(OmegaConf.to_container(dataset, resolve=True))
        again.content, again.classes, again.skipped = None, [], []
        complete(again, folder, thorough=True)
        found = _mapped(again, folder)
        if found is not None and dataset.content not in (again.content, _without_names(found, dataset)):
            found = None
    if found is None:
        raise UsageError(
            f"dataset.path={dataset.path}: its images are others than they were (SHA-256 {dataset.content[:16]}...). "
            "Type the command again to use those that are there now"
        )
    return found.splits()


def _without_names(found: Mapped, dataset: Any) -> str | None:
    """The version of images in records of before names of classes counted; None where these are others."""
    return version_of(dataset.name, found.splits()) if found.about.classes == list(dataset.classes) else None


def _mapped(dataset: Any, folder: Path) -> Mapped | None:
    for place in of_content(dataset.content, folder):
        if (found := mapped(place)) is not None:
            return found
        warn(f"{place}: its images are damaged; they are read again")
        discard(place)
    return None


def _way(dataset: Any) -> Way:
    if not dataset.path:
        raise UsageError(
            "dataset=folder needs to know where your images are. Type dataset.path=<a folder, a .csv or an .npz file>"
        )
    for key in FOUND:
        if dataset[key]:
            raise UsageError(f"dataset.{key} is found in the images of dataset=folder. Leave it out")
    if dataset.image_size not in SIZES:
        allowed = f"a whole number of pixels from {SIZES[0]} to {SIZES[-1]}"
        raise UsageError(refusal("dataset.image_size", dataset.image_size, allowed, "dataset.image_size=64"))
    if dataset.channels not in (None, 1, 3):
        allowed = "1 (grey), 3 (RGB) or null (as the files have it)"
        raise UsageError(refusal("dataset.channels", dataset.channels, allowed, "dataset.channels=1"))
    if dataset.on_bad not in ON_BAD:
        raise UsageError(refusal("dataset.on_bad", dataset.on_bad, "stop or skip", "dataset.on_bad=skip"))
    path = typed_path(dataset.path, "dataset.path").absolute()
    path = path.resolve() if path.exists() else path
    if "${" in str(path):
        raise UsageError(f"dataset.path={path}: its name must be without ${{, which looks something up. Rename it")
    return Way(_name(dataset, path), path, dataset.image_size, dataset.channels, dataset.keep_aspect)


def _refuse_namesakes(datasets: Sequence[Any]) -> None:
    """Raise ``UsageError`` for other images at another path under the same name: tables could not tell them apart."""
    paths: dict[tuple[str, int], Any] = {}
    for dataset in datasets:
        first = paths.setdefault((dataset.name, dataset.image_size), dataset)
        if first.path != dataset.path and first.content != dataset.content:
            raise UsageError(
                f"dataset.path={first.path} and {dataset.path} hold other images under one name, {dataset.name}. Run a "
                "command for each, with dataset.name=<a name of its own>"
            )


def _refuse_labels(way: Way, found: Found) -> None:
    """Raise ``UsageError`` for names that no class can have, with all else that can be told before images are read.

    Those of which classes differ in capitals alone could not be told apart where one is typed.
    """
    wrong: list[tuple[str, str]] = []
    known: dict[str, str] = {}
    for label in sorted({item.label for item in found.items}):
        if (allowed := allowed_name(label)) is not None:
            wrong.append((f"class {label}", f"not allowed, as a class name must be {allowed}"))
        if (other := known.setdefault(label.lower(), label)) != label:
            wrong.append((f"classes {other} and {label}", "differing in capitals alone"))
    if wrong:
        faults = [*wrong, *found.faults]
        raise UsageError(
            f"{way.key}: {_many(faults, 'fault')} that can be told before an image is read: {in_words(faults)}. Give "
            "the classes other names"
        )


def _name(dataset: Any, path: Path) -> str:
    """What was typed, else the folder's name as a plain name."""
    shipped = dataset_names()
    if dataset.name is not None:
        if dataset.name in shipped and dataset.name != "folder":
            raise UsageError(
                f"dataset.name={dataset.name} is the name of another data set: your images must have one of their own. "
                f"Type for example: dataset.name=my_{dataset.name}"
            )
        if not is_plain_name(dataset.name):
            allowed = f"a name for a folder, without / and not beginning with a dot, of at most {LONGEST} bytes"
            raise UsageError(refusal("dataset.name", repr(dataset.name[:40]), allowed, "dataset.name=parts"))
        return dataset.name
    plain = re.sub(r"[^\w.-]+", "_", shown(path.name if path.is_dir() else path.stem)).strip("._-")
    while len(plain.encode()) > LONGEST - len("my_"):
        plain = plain[:-1]
    return plain if plain and plain not in shipped else f"my_{plain or 'images'}"


def _fill(dataset: Any, way: Way, about: About) -> None:
    dataset.name, dataset.path, dataset.content = way.name, str(way.path), about.content
    dataset.channels, dataset.classes = about.channels, about.classes
    told = [f"{shown(name)}: {reason}".replace("${", ESCAPED) for name, reason in about.faults]
    more = [f"and {len(told) - MOST_NAMED:,} more"] if len(told) > MOST_NAMED else []
    dataset.skipped = [*told[:MOST_NAMED], *more]


def _many(things: Sequence[Any], what: str) -> str:
    return f"{len(things):,} {what}" if len(things) == 1 else f"{len(things):,} {what}s"


def _in_words(way: Way, about: About, found: Found) -> str:
    kind = "grey" if about.channels == 1 else "RGB"
    classes = f"{len(about.classes)} classes ({listed(about.classes)})" if len(about.classes) > 1 else about.classes[0]
    return (
        f"{about.layout}, {classes}; {about.train:,} training and {about.count - about.train:,} test images of "
        f"{way.size} x {way.size} pixels, {kind}{_enlarged(way, found)}"
    )


def _enlarged(way: Way, found: Found) -> str:
    """That images are smaller in their files than a model sees them, by the first one that has a size."""
    if found.arrays is not None or not found.items:
        return ""
    sizes = (size_of(item.path) for item in found.items[:LOOKED_AT])
    width, height = next((size for size in sizes if size is not None), (way.size, way.size))
    smaller = max(width, height) < way.size
    return f", enlarged from {width} x {height} (dataset.image_size)" if smaller else ""


def _left_out(names: Any) -> str:
    return f"; not looked into: {listed(names)}" if names else ""


def _skipped(about: About) -> str:
    return f"; left out {len(about.faults):,} of {about.found:,}: {in_words(about.faults)}" if about.faults else ""


@contextmanager
def _progress(path: Path) -> Iterator[Report]:
    """A bar on a terminal, to stderr, from the first image that is read; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(f"reading {shown(path.name)}", total=None)

    def report(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        bar.stop()
