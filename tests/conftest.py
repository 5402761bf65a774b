"""Fixtures shared by all tests: the prepared data, a tiny data set made on the spot, and a local web server."""

from __future__ import annotations

import gc
import hashlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from benchmark.config import DatasetConfig

SHARED = {"cells": "detect"}  # fixtures of a whole session that train something -> the group of tests that use them


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what a fixture of their module has made run on one worker, which then makes it once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None and (name := group_of(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(name))


def group_of(item: pytest.Item) -> str | None:
    """The group of a test without one of its own; None if it may run anywhere."""
    fixtures = getattr(item, "_fixtureinfo", None)
    if fixtures is None:  # of a page
        return None
    for name, found in fixtures.name2fixturedefs.items():
        if name in SHARED:
            return SHARED[name]
        if found[-1].scope == "module" and not name.startswith("_"):
            return item.nodeid.partition("::")[0]
    return None


def pytest_collection_finish() -> None:
    """What is loaded by now stays, and need not be looked at for garbage again and again.

    Tests that use MLflow have loaded it: it makes one store, and the others are copies.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    if "mlflow" in sys.modules:
        from tests.stores import copy_stores

        copy_stores()


IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data directory with MNIST and Fashion-MNIST in it; tests that need them are skipped where they are not."""
    from benchmark.data import files, load_dataset_config

    folder = files.data_dir()
    for name in ("mnist", "fashion_mnist"):
        dataset = load_dataset_config(name)
        for file, sha256 in dataset.sha256.items():
            problem = files.fault(files.raw_folder(dataset, folder) / file, sha256)
            if problem is not None:
                pytest.skip(f"{problem}. Type: python -m benchmark.prepare")
    return folder


def idx_bytes(array: np.ndarray) -> bytes:
    """A uint8 array as the content of an IDX file."""
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


@dataclass
class Tiny:
    """A data set of 40 training and 20 test images of random pixels in ten classes, as raw IDX files."""

    files: dict[str, bytes]
    arrays: dict[str, np.ndarray]

    def config(self, *sources: dict[str, Any]) -> Any:
        """Its ``DatasetConfig``, with these sources."""
        content = {
            "name": "tiny",
            "torchvision_class": "MNIST",
            "raw_dir": "MNIST/raw",
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()},
            "sources": list(sources),
            "classes": [f"class {label}" for label in range(10)],
        }
        return OmegaConf.merge(OmegaConf.structured(DatasetConfig), OmegaConf.create(content))

    def write(self, folder: Path) -> None:
        """Put the raw files into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    draw = np.random.default_rng(0)
    arrays = {
        IDX_NAMES[0]: draw.integers(0, 256, (40, 28, 28), dtype=np.uint8),
        IDX_NAMES[1]: np.arange(40, dtype=np.uint8) % 10,
        IDX_NAMES[2]: draw.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        IDX_NAMES[3]: np.arange(20, dtype=np.uint8) % 10,
    }
    return Tiny({name: idx_bytes(array) for name, array in arrays.items()}, arrays)


@dataclass
class Web:
    """A web server on this machine: ``files`` by path without the leading slash, and what was asked for."""

    url: str
    files: dict[str, bytes | Callable[[int], bytes]] = field(default_factory=dict)  # content, or of the nth request
    promised: dict[str, int] = field(default_factory=dict)  # Content-Length where it is not that of the content
    raw: dict[str, bytes] = field(default_factory=dict)  # paths answered by these very bytes instead of HTTP
    delay: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def served(self) -> dict[str, int]:
        """How often each existing file was asked for."""
        return {name: count for name, count in self.asked.items() if name in self.files}


@pytest.fixture
def web() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            site.asked[name] += 1
            if name in site.raw:
                self.wfile.write(site.raw[name])
                return
            if name not in site.files:
                self.send_error(404)
                return
            content = site.files[name]
            content = content(site.asked[name]) if callable(content) else content
            time.sleep(site.delay)
            self.send_response(200)
            self.send_header("Content-Length", str(site.promised.get(name, len(content))))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()
