"""Memory and speed of own images, mapped instead of held: ``python -m tests.tools.speed.own_images FOLDER [N]``.

Writes N (100,000) RGB images of 64 x 64 as PNG below FOLDER, which takes about as many of 8 kB, reads them into the
cache, and trains a small convolutional autoencoder on them for some steps of 64, each in a process of its own:

- ``held``: a copy in memory, as other data sets are.
- ``mapped``: as they are used.
- ``cold``: mapped, and the kernel has forgotten all of them: a set that memory has no room for, at its worst.
- ``mapped, limited`` and ``held, limited``: in a process that may have no more memory of its own than half of the set,
  512 MiB at least (so N must be large).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

STEPS, BATCH = 100, 64
LEAST = 512 << 20  # bytes that torch needs for itself
HOW = ("held", "mapped", "cold", "mapped, limited", "held, limited")


def main(folder: Path, count: int) -> None:
    _in_a_process(write, folder / "parts", count)
    print(_in_a_process(read, folder))
    print("| images are | images a second | a processor second | peak MiB | of it its own | pages waited for |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for how in HOW:
        print(_in_a_process(train, folder, how), flush=True)


def _in_a_process(work: Any, *arguments: Any) -> Any:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def write(folder: Path, count: int) -> None:
    """Blurred noise in colours: it is packed to half its size, as photographs are."""
    import numpy as np
    from PIL import Image

    for split, kind, images in (("train", "good", count), ("test", "good", 500), ("test", "bad", 500)):
        place = folder / split / kind
        place.mkdir(parents=True, exist_ok=True)
        draw = np.random.default_rng([len(split), len(kind)])
        for number in range(images):
            small = Image.fromarray(draw.integers(0, 256, (24, 24, 3), dtype=np.uint8))  # drawn, so that they go on
            if not (path := place / f"{number}.png").exists():
                small.resize((64, 64), Image.Resampling.BILINEAR).save(path, compress_level=1)


def read(folder: Path) -> str:
    """The first command and the second one."""
    from benchmark.sweep.compose import compose_jobs

    took, busy = [], time.process_time()
    for _ in range(2):
        start = time.perf_counter()
        config = compose_jobs(_words(folder))[0].config
        took.append((time.perf_counter() - start, time.process_time() - busy))
        busy = time.process_time()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = len(list((folder / "parts" / "train" / "good").iterdir())) + 1000
    return (
        f"read {count:,} files in {took[0][0]:.1f} s, {took[0][1]:.1f} s of the processor, {held:,.0f} MiB at most; "
        f"found them unchanged in {took[1][0]:.1f} s, {took[1][1]:.1f} s of the processor; {config.dataset.classes}"
    )


def train(folder: Path, how: str) -> str:
    """A row of the table."""
    import torch

    from benchmark.engine.fleet import Fleet
    from benchmark.engine.state import Settings
    from benchmark.engine.train import Member, train_in_company
    from benchmark.sweep.compose import compose_jobs
    from benchmark.sweep.job import lay_out_job
    from benchmark.sweep.steps import build_model

    torch.set_num_threads(1)
    job = lay_out_job(compose_jobs([*_words(folder), "model=ae"])[0].config)
    (cell,) = job.cells
    images = job.images["train"]
    if "limited" in how:
        used = _kilobytes("VmData")
        room = max(images.numel() // 2, LEAST)
        resource.setrlimit(resource.RLIMIT_DATA, (used * 1024 + room, resource.RLIM_INFINITY))
    try:
        images = images.clone() if "held" in how else images
    except (RuntimeError, MemoryError):
        return f"| {how} | there is no room | | | | |"
    if how == "cold":
        _forget(folder, images)
    fleet = Fleet([build_model(job, cell)])
    member = Member(cell.split.train_index, cell.stream("order"), cell.stream("noise"))
    settings = Settings(1, BATCH, STEPS * BATCH, job.precision, False)
    start, busy, faults = time.perf_counter(), time.process_time(), _disk_reads()
    train_in_company(fleet, images, [member], settings)
    speeds = [STEPS * BATCH / took for took in (time.perf_counter() - start, time.process_time() - busy)]
    peak, own = (_kilobytes(name) / 1024 for name in ("VmHWM", "RssAnon"))
    return f"| {how} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | {peak:,.0f} | {own:,.0f} | {_disk_reads() - faults:,} |"


def _disk_reads() -> int:
    """How often this process waited for a page of memory to come from the disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def _words(folder: Path) -> list[str]:
    return [
        *(
            "dataset=folder",
            f"dataset.path={folder / 'parts'}",
            f"data_dir={folder / 'data'}",
            "split.normal_class=good",
        ),
        *("model.network=conv", "model.channels=[8,8]", "model.latent=16"),
    ]


def _forget(folder: Path, images: Any) -> None:
    """Drop the images from this process (the kernel keeps what is mapped) and then from the kernel's memory."""
    first = images.data_ptr() // resource.getpagesize() * resource.getpagesize()
    ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(images.numel()), mmap.MADV_DONTNEED)
    for path in (folder / "data" / "folder").glob("*/images/images.npy"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
