"""Write a finished cell as ONNX: ``python -m benchmark.export cell=outputs/cells/... out=model.onnx``.

The graph takes pixels and gives what the model itself says: ``score`` (N,), larger = more anomalous, and where the
model has one ``reconstruction`` (N, C, H, W) in [0, 1]. Calibration scores and threshold stand in its metadata, so that
whoever runs it can flag images and tell p-values. It is written only if onnxruntime finds the scores of the detector.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.config import UsageError
from benchmark.data.files import typed_path
from benchmark.say import named
from benchmark.sweep.arguments import help_text, parse, small_command

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchmark.detect.loading import Loaded
    from benchmark.models.base import Model

WHAT = "Write a finished cell as ONNX, with its calibration scores and threshold."
KEYS = {
    "cell": "folder of a finished cell, or of a detector that was saved",
    "out": "the file to write, NAME.onnx",
    "input": "what pixels are: uint8, 0 to 255 (default), or float32, 0 to 1",
}
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
INPUTS = {"uint8": "whole numbers from 0 to 255", "float32": "floats from 0 to 1, rounded to 256 levels"}
TOLERANCE = 1e-4  # of the scores' root mean square: how far onnxruntime's may be from the detector's
OPSET = 18


@dataclass(frozen=True)
class Graph:
    """A model as ONNX."""

    content: bytes
    batch: int | None  # images at once; None: any number
    difference: float  # largest one of two scores, of their root mean square


# the command


EXAMPLE = "cell=outputs/cells/... out=model.onnx"


@small_command("benchmark.export", lambda: help_text(WHAT, "benchmark.export", KEYS, EXAMPLE))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: the file is written, 2: an argument is refused, or the model cannot be written."""
    settings = parse(arguments, KEYS)
    for key, example in (("cell", "cell=outputs/cells/..."), ("out", "out=model.onnx")):
        if key not in settings:
            raise UsageError(f"{key}= is missing. Type for example: {example}")
    out, kind = typed_path(settings["out"], "out"), settings.get("input", "uint8")
    if out.suffix != ".onnx":
        raise UsageError(f"out={out} is not allowed: it must end in .onnx. Type for example: out=model.onnx")
    if kind not in INPUTS:
        raise UsageError(f"input={kind} is not allowed: it must be one of {', '.join(INPUTS)}. Type: input=uint8")
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        raise UsageError(f"ONNX needs {', '.join(missing)}, which is not installed. Type: pip install -e '.[onnx]'")
    from benchmark.detect.loading import load_cell

    loaded = load_cell(settings["cell"], device="cpu")
    if loaded.rule is not None:
        raise UsageError(
            f"cell={settings['cell']} scores by the rule {loaded.rule}; ONNX takes a model's own score alone"
        )
    model, images = loaded.scorer.fleet.model, examples(loaded.shape)
    graph = convert(model, loaded.scorer.seed, images, loaded.scorer.scores(images), kind)
    content = described(graph, loaded, kind)
    _write(out, content)
    at_once = "any number of images" if graph.batch is None else f"{graph.batch} image"
    print(
        f"{out}: {len(content) / 1e6:.2f} MB, {at_once} at once; onnxruntime's scores are within "
        f"{graph.difference:.1e} of the detector's."
    )
    return 0


def _write(path: Path, content: bytes) -> None:
    from benchmark.data.writing import replacing

    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UsageError(f"out={path} cannot be written ({error.strerror}). Type out=<another file>") from error


def described(graph: Graph, loaded: Loaded, kind: str) -> bytes:
    """The graph with what is to be known of it as metadata: texts, of them ``calibration_scores`` a list in JSON."""
    import onnx

    from benchmark.detect.loading import alpha_of
    from benchmark.engine.metrics import conformal_threshold

    axes, (channels, height, width) = loaded.record.axes, loaded.shape
    alpha = alpha_of(loaded.config)
    threshold = conformal_threshold(loaded.calibration, alpha)
    batch = "N" if graph.batch is None else str(graph.batch)
    metadata = {
        "model": axes.model,
        "dataset": axes.dataset,
        "normal_class": f"{axes.normal_class} {axes.normal_class_name}".strip(),
        "fingerprint": loaded.record.fingerprint,
        "input": f"images ({batch}, {channels}, {height}, {width}), {INPUTS[kind]}",
        "score": f"{loaded.record.status.headline}, larger = more anomalous",
        "alpha": str(alpha),
        "threshold": "none" if threshold is None else repr(float(threshold)),
        "calibration_scores": json.dumps([float(score) for score in loaded.calibration]),
        "p_value": "(1 + number of calibration_scores >= score) / (their number + 1); flagged if it is at most alpha",
    }
    found = onnx.load_from_string(graph.content)
    found.doc_string = f"{axes.model} of benchmark, trained on {axes.dataset} {axes.normal_class}"
    onnx.helper.set_model_props(found, metadata)
    onnx.checker.check_model(found)
    return found.SerializeToString()


# from a model to a graph


def examples(shape: tuple[int, int, int]) -> Tensor:
    """Images by which two scorers are compared: black, white and noise of every contrast, uint8 (16, C, H, W)."""
    import torch

    noise = torch.rand(14, *shape, generator=torch.Generator().manual_seed(0))
    contrast = torch.linspace(0.1, 1, 14).view(-1, 1, 1, 1)
    plain = torch.stack([torch.zeros(shape), torch.ones(shape)])
    return torch.cat([plain, noise**3 * contrast]).mul(255).byte()


def convert(model: Model, seed: int, images: Tensor, scores: np.ndarray, kind: str = "uint8") -> Graph:
    """The graph of a trained model's headline score and reconstruction; ``seed`` is that of the scoring noise.

    Torch has two ways to ONNX. The older follows one call of the model (Python's loops and numbers become constants),
    takes moments, and warns that it will go; the newer reads the model's program and takes up to minutes. Some models
    make a batch's size a constant in either: these take one image at once. The first graph whose ``scores`` (N,) of
    ``images`` uint8 (N, C, H, W) are those of the detector is taken. Raises ``UsageError`` if none is.
    """
    if getattr(model, "search_steps", 0) > 0:
        raise UsageError(
            "this model cannot be written as ONNX: its score is the end of a search with gradients for every image, "
            "and ONNX has no operator for these. Load it with benchmark.load_detector instead"
        )
    module = _module(model, seed, kind)
    fed = images if kind == "uint8" else images.float() / 255
    scale = max(float(np.sqrt(np.square(scores.astype(np.float64)).mean())), 1e-12)
    why = ""
    for write in (_traced, _exported):
        for batch in (None, 1):
            try:
                with _quiet():
                    content = write(module, fed[: batch or 3], batch)
                    found = run(content, fed.numpy(), batch)["score"]
            except Exception as error:  # of torch, of its translation, of onnxruntime: each has its own kinds
                why = named(error, 160)
                continue
            if found.shape != scores.shape:
                why = f"onnxruntime makes {len(found)} scores of {len(scores)} images"
                continue
            difference = float(np.abs(found - scores).max()) / scale
            if difference <= TOLERANCE:
                return Graph(content, batch, difference)
            why = f"onnxruntime's scores differ by {difference:.1e} of the detector's"
    raise UsageError(f"this model cannot be written as ONNX: {why}. Load it with benchmark.load_detector instead")


def _module(model: Model, seed: int, kind: str) -> nn.Module:
    """Images in, score and, where there is one, reconstruction out."""
    from torch import nn

    from benchmark.engine.score import draw_noise

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model.eval().requires_grad_(False)
            self.drawn = list(model.score_noise)
            for name, values in draw_noise(model.score_noise, [seed]).items():
                self.register_buffer(f"noise_{name}", values[0])

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            levels = images.float() if kind == "uint8" else (images * 255).round().clamp(0, 255)
            noise = {name: getattr(self, f"noise_{name}") for name in self.drawn}
            found = self.model.assess(levels / 255, noise)
            more = (found["reconstruction"].float(),) if "reconstruction" in found else ()
            return found["scores"][model.headline].float(), *more

    return Whole().eval()


def _names(module: nn.Module, images: Tensor) -> list[str]:
    import torch

    with torch.no_grad():
        return ["score", "reconstruction"][: len(module(images))]


def _traced(module: nn.Module, images: Tensor, batch: int | None) -> bytes:
    import torch

    for name, symbolic in _OPERATORS.items():
        torch.onnx.register_custom_op_symbolic(name, symbolic, OPSET)
    names, buffer = _names(module, images), io.BytesIO()
    axes = {name: {0: "N"} for name in ("images", *names)} if batch is None else None
    how: dict[str, Any] = {"dynamo": False, "opset_version": OPSET, "dynamic_axes": axes}
    torch.onnx.export(module, (images,), buffer, input_names=["images"], output_names=names, **how)
    return buffer.getvalue()


def _exported(module: nn.Module, images: Tensor, batch: int | None) -> bytes:
    import torch

    shapes = {"images": {0: torch.export.Dim("N")}} if batch is None else None
    how: dict[str, Any] = {"dynamo": True, "dynamic_shapes": shapes, "verbose": False}
    program = torch.onnx.export(module, (images,), input_names=["images"], output_names=_names(module, images), **how)
    return program.model_proto.SerializeToString()


def _constant(g: Any, value: float, like: Any) -> Any:
    import torch

    found = g.op("Constant", value_t=torch.tensor(value, dtype=torch.float64))
    return g.op("CastLike", found, like)


def _exp2(g: Any, x: Any) -> Any:
    return g.op("Pow", _constant(g, 2.0, x), x)


def _expm1(g: Any, x: Any) -> Any:
    return g.op("Sub", g.op("Exp", x), _constant(g, 1.0, x))


def _xlogy(g: Any, x: Any, y: Any) -> Any:
    zero = _constant(g, 0.0, x)
    return g.op("Where", g.op("Equal", x, zero), zero, g.op("Mul", x, g.op("Log", y)))


_OPERATORS = {"aten::exp2": _exp2, "aten::expm1": _expm1, "aten::xlogy": _xlogy}  # that torch's older way lacks


def run(content: bytes, images: np.ndarray, batch: int | None = None) -> Mapping[str, np.ndarray]:
    """What onnxruntime makes of images, by the graph's names of its outputs; ``batch`` images at once, None: all."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    size = len(images) if batch is None else batch
    parts: Sequence[Any] = [session.run(None, {"images": images[i : i + size]}) for i in range(0, len(images), size)]
    names = [output.name for output in session.get_outputs()]
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is said meanwhile: torch prints whole graphs, from C++ too, of what it cannot write."""
    kept = [os.dup(1), os.dup(2)]
    before = logging.root.manager.disable
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        os.close(nothing)
        logging.disable(logging.CRITICAL)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        for descriptor, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)


if __name__ == "__main__":
    sys.exit(main())
