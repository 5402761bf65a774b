"""What a machine without a network needs, in ``.visit``: data as .xz, and wheels of what it may lack."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
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


def pack() -> None:
    """Fill ``.visit`` and say how much it is."""
    shutil.rmtree(LUGGAGE, ignore_errors=True)
    source = data_dir(None)
    for name in FILES:
        packed = LUGGAGE / "data" / f"{name}.xz"
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(lzma.compress((source / name).read_bytes(), preset=6))
    wheels = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(LUGGAGE / "wheels")]
    subprocess.run([*wheels, *LACKING, "--constraint", str(TOP / "requirements.lock")], check=True)
    size = sum(path.stat().st_size for path in LUGGAGE.rglob("*") if path.is_file())
    print(f"{LUGGAGE.relative_to(TOP)}: {size / 1e6:.0f} MB. There: python3 -m tests.tools.gpu_visit out=FOLDER")


def unpack(folder: Path) -> dict[str, str]:
    """Lay the luggage out in ``folder``; the variables that the steps need to find it. {} where none was packed."""
    if not LUGGAGE.is_dir():
        return {}
    for packed in LUGGAGE.rglob("*.xz"):
        place = folder / packed.relative_to(LUGGAGE).with_suffix("")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(lzma.decompress(packed.read_bytes()))
    site = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(site)]
    subprocess.run([*install, *map(str, LUGGAGE.glob("wheels/*.whl"))], check=True)
    path = os.pathsep.join([str(TOP), *filter(None, [os.environ.get("PYTHONPATH")]), str(site)])  # its own come first
    return {"BENCHMARK_DATA": str(folder / "data"), "PYTHONPATH": path}
