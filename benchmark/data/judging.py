"""Which of somebody's own images are of use, and for what: faults, the split where none is given, duplicates.

Nothing here looks at a file: it is told what each image holds.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.data.layouts import Item, listed
from benchmark.say import shown

TRAIN_SHARE = 0.7  # of each class, where no split is given
FEWEST = 10  # training images of a class that is to be trained on: one of them is kept for calibration
DUPLICATE = "the same picture as a training image"


@dataclass
class Seen:
    """What was read of each item, in their order."""

    channels: list[int]  # of the file itself, 0 for what could not be read
    content: list[bytes]  # SHA-256 of what was read
    pixels: list[bytes]  # a hash of the image as a model is given it
    faults: dict[int, str] = field(default_factory=dict)  # item -> why it could not be read


@dataclass
class Judged:
    """Rows of the data set, in order: training images, then test images, each by class and content."""

    rows: list[int]  # items
    train: int  # how many of the rows are training images
    channels: int
    faults: list[tuple[str, str]]  # name and reason
    is_ours: bool  # whether the split had to be made


def judge(items: Sequence[Item], seen: Seen, channels: int | None) -> Judged:
    """Choose the rows. ``channels`` is what was asked for; None: as the files have it, which then must agree.

    An image without a split goes by the rank of its content's hash within its class, so that neither names nor folders
    nor chance have a say, and copies of a file stay together.
    """
    faults = dict(seen.faults)
    if channels is None:
        channels = _refuse_minority(seen, faults)
    good = [i for i in range(len(items)) if i not in faults]
    splits = _splits(items, seen, good)
    few = _few(items, splits, good)
    for i in good:
        if splits[i] == "train" and items[i].label in few:
            if items[i].split is None:
                splits[i] = "test"
            else:
                splits[i] = ""
    first: dict[bytes, int] = {}
    for i in good:
        if splits[i] == "train":
            first.setdefault(seen.pixels[i], i)
    for i in good:
        if splits[i] == "test" and (twin := first.get(seen.pixels[i])) is not None:
            faults[i], splits[i] = f"{DUPLICATE} ({shown(items[twin].name)})", ""
    parts = [
        sorted((i for i in good if splits[i] == split), key=lambda i: (items[i].label, seen.content[i], items[i].name))
        for split in ("train", "test")
    ]
    classes = [(f"class {label}", f"fewer than {FEWEST} training images ({count})") for label, count in few.items()]
    named = [(items[i].name, reason) for i, reason in sorted(faults.items())]
    return Judged(
        [*parts[0], *parts[1]], len(parts[0]), channels, [*named, *classes], any(items[i].split is None for i in good)
    )


def _refuse_minority(seen: Seen, faults: dict[int, str]) -> int:
    """Channels of most images; the others become faults: what a model sees of them would tell their kind of file."""
    readable = [i for i in range(len(seen.channels)) if i not in faults]
    counts = Counter(seen.channels[i] for i in readable)
    most = 3 if counts[3] >= counts[1] else 1
    for i in readable:
        if seen.channels[i] != most:
            kinds = ("in colours", "grey") if most == 1 else ("grey", "in colours")
            faults[i] = f"{kinds[0]} where most are {kinds[1]} (dataset.channels=1 or 3 makes all alike)"
    return most


def _splits(items: Sequence[Item], seen: Seen, good: Sequence[int]) -> dict[int, str]:
    splits = {i: split for i in good if (split := items[i].split) is not None}
    classes: dict[str, list[int]] = {}
    for i in good:
        if i not in splits:
            classes.setdefault(items[i].label, []).append(i)
    for members in classes.values():
        keys = {i: hashlib.sha256(b"benchmark split" + seen.content[i]).digest() for i in members}
        members.sort(key=lambda i: keys[i])
        count = round(TRAIN_SHARE * len(members))
        while 0 < count < len(members) and keys[members[count]] == keys[members[count - 1]]:
            count += 1
        splits |= {i: "train" if rank < count else "test" for rank, i in enumerate(members)}
    return splits


def _few(items: Sequence[Item], splits: Mapping[int, str], good: Sequence[int]) -> dict[str, int]:
    counts = Counter(items[i].label for i in good if splits[i] == "train")
    return {label: count for label, count in sorted(counts.items()) if count < FEWEST}


def in_words(faults: Sequence[tuple[str, str]]) -> str:
    """Faults of a kind together, a few of each named: ``empty (0 bytes): a.png, b.png and 3 more; ...``."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, reason in faults:
        kinds.setdefault(reason.partition(" (")[0], []).append((name, reason))
    told = []
    for kind, members in kinds.items():
        reasons = {reason for _, reason in members}
        told.append(f"{reasons.pop() if len(reasons) == 1 else kind}: {listed([name for name, _ in members])}")
    return "; ".join(told)
