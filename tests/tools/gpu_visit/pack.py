"""What a machine without a network needs, in ``.visit``: data as .xz, and wheels of what it may lack."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.data.files import data_dir
from tests.tools.gpu_visit import LUGGAGE, TOP

# PyTorch is the machine's own, built for its GPU; so is what comes with it. These are small and pure Python.
LACKING = ("hydra-core", "omegaconf", "antlr4-python3-runtime")
FILES = tuple(
    f"{folder}/raw/{name}"
    for folder in ("MNIST", "FashionMNIST")
    for name in (
        "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
    )
)  # fmt: skip


def pack(luggage: Path = LUGGAGE, files: Sequence[str] = FILES, lacking: Sequence[str] = LACKING) -> None:
    """Fill ``.visit`` and say how much it is. Nothing stays there if not all of it can be had."""
    source = data_dir(None)
    if missing := [name for name in files if not (source / name).is_file()]:
        raise SystemExit(f"gpu_visit pack: {source / missing[0]} is missing. Type: python -m benchmark.prepare")
    shutil.rmtree(luggage, ignore_errors=True)
    made = luggage.with_name(f"{luggage.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    for name in files:
        packed = made / "data" / f"{name}.xz"
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(lzma.compress((source / name).read_bytes(), preset=2))  # 6 takes four times as long
    wheels = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(made / "wheels")]
    subprocess.run([*wheels, *lacking, "--constraint", str(TOP / "requirements.lock")], check=True)
    made.replace(luggage)
    size = sum(path.stat().st_size for path in luggage.rglob("*") if path.is_file())
    print(f"{luggage.name}: {size / 1e6:.0f} MB. There: python3 -m tests.tools.gpu_visit out=FOLDER")


def unpack(folder: Path, luggage: Path = LUGGAGE) -> dict[str, str]:
    """Lay the luggage out in ``folder``; the variables that the steps need to find it. {} where none was packed."""
    if not luggage.is_dir():
        return {}
    for packed in luggage.rglob("*.xz"):
        place = folder / packed.relative_to(luggage).with_suffix("")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(lzma.decompress(packed.read_bytes()))
    site = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(site)]
    subprocess.run([*install, *map(str, luggage.glob("wheels/*.whl"))], check=True)
    path = os.pathsep.join([str(TOP), *filter(None, [os.environ.get("PYTHONPATH")]), str(site)])  # its own come first
    return {"BENCHMARK_DATA": str(folder / "data"), "PYTHONPATH": path}
