"""The steps of a visit. Each notes findings as it goes; an ``AssertionError`` says what is not as it should be."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, Watch, train
from benchmark.models import model_class, model_names
from benchmark.store.environment import environment
from tests.tools.gpu_visit import TOP

NEAR = 0.003  # that mean AUROC may be from the committed means of a CPU
TIMES = 20  # that fifty cells as a fleet should be faster than one by one
CORE = ("ae", "vae", "aae", "anogan")


@dataclass
class Visit:
    """Where a step runs, how large, and what it has found; ``note`` writes at once."""

    device: str
    tiny: bool
    folder: Path  # of its own, for outputs
    result: Path
    findings: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, value: Any) -> None:
        self.findings[name] = value
        self.result.write_text(json.dumps(self.findings), encoding="utf-8")

    def benchmark(self, output: str, *arguments: str) -> float:
        """Type a command of the suite; seconds. Raises ``CalledProcessError`` with its output shown."""
        start = time.perf_counter()
        place = [f"output_dir={self.folder / output}", "tracking=off", f"device={self.device}"]
        subprocess.run([sys.executable, "-m", "benchmark", *arguments, *place], cwd=TOP, check=True)
        return time.perf_counter() - start

    def records(self, output: str) -> list[Path]:
        return sorted(path.parent for path in (self.folder / output).glob("cells/*/*/*/*/status.json"))

    @property
    def short(self) -> list[str]:
        """What makes a command tiny."""
        return ["trainer.epochs=1", "split.train_fraction=0.05", "split.test_limit=200"] if self.tiny else []


def machine(visit: Visit) -> None:
    """What it is, and that the device computes."""
    for name, value in environment(visit.device, "fp32").items():
        visit.note(name, value)
    visit.note("sum", float(torch.ones(1000, device=visit.device).sum()))
    assert visit.findings["sum"] == 1000


def bits(visit: Visit) -> None:
    """One command typed twice gives the same bits."""
    for model in CORE[:1] if visit.tiny else CORE:
        hashes = []
        for turn in ("first", "second"):
            visit.benchmark(f"{model}-{turn}", f"model={model}", "dataset=mnist", "split.normal_class=3", *visit.short)
            (record,) = visit.records(f"{model}-{turn}")
            hashes.append(hashlib.sha256((record / "scores.npz").read_bytes()).hexdigest())
        visit.note(f"{model}: the same bits when typed twice", hashes[0] == hashes[1])
    assert all(visit.findings.values()), "a command typed twice gave other bits"


def fleet(visit: Visit) -> None:
    """Fifty cells as one program against one by one, beside the estimates of results/speed."""
    from tests.tools.speed.speed import Bench

    bench, cells = Bench(visit.device), 4 if visit.tiny else 50
    expected = estimates()
    for name in CORE[:1] if visit.tiny else CORE:
        total = 2_000 if visit.tiny else 600_000
        runs = {count: bench.fleet(name, count, total if count > 1 else total // 10) for count in (1, cells)}
        speed = {
            count: max(run() for _ in range(3)) for count, run in runs.items()
        }  # images per second; first warms up
        visit.note(f"{name}: {cells} cells as a fleet, images per second", speed[cells])
        visit.note(f"{name}: times faster than one by one", speed[cells] / speed[1])
        visit.note(f"{name}: estimated (results/speed)", expected[name])
    if not visit.tiny:
        slow = [name for name in CORE if visit.findings[f"{name}: times faster than one by one"] < TIMES]
        assert not slow, f"{', '.join(slow)}: less than {TIMES} times faster than one by one"


def estimates() -> dict[str, float]:
    """Model -> times that fifty cells were estimated to be faster than one by one."""
    text = (TOP / "results" / "speed" / "estimate_h200.md").read_text(encoding="utf-8")
    return {
        name: float(times) for name, times in re.findall(r"^\| (\w+) \|(?: [\d.]+ \|){3} (\d+) \|", text, re.MULTILINE)
    }


def precision(visit: Visit) -> None:
    """tf32 and bf16 beside fp32: AUROC of one class, and seconds."""
    kinds = ["fp32", "bf16", *(["tf32"] if visit.device.startswith("cuda") else [])]
    for model in ("ae",) if visit.tiny else ("ae", "anogan"):
        for kind in kinds:
            options = [f"model={model}", "dataset=mnist", "split.normal_class=3", f"precision={kind}", *visit.short]
            visit.note(f"{model}, {kind}: seconds of the command", visit.benchmark(f"{model}-{kind}", *options))
            (record,) = visit.records(f"{model}-{kind}")
            visit.note(f"{model}, {kind}: AUROC", _metrics(record)["auroc"])
        for kind in kinds[1:]:
            gap = visit.findings[f"{model}, {kind}: AUROC"] - visit.findings[f"{model}, fp32: AUROC"]
            assert abs(gap) < 0.02, f"{model} in {kind} has an AUROC {gap:+.3f} from that in fp32"


def memory(visit: Visit) -> None:
    """Where memory runs out while scoring, batches are halved and the scores stay what they were."""
    images = torch.randint(0, 256, (256, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    cells = Fleet([model_class("ae")((1, 28, 28)) for _ in range(3)], visit.device)
    views = [View(torch.arange(len(images)), seed) for seed in range(3)]
    plain = score_images(cells, images.to(visit.device), views, Scoring(32), ("scores",))
    with LittleMemory(cells, visit.device) as refused:
        found = score_images(cells, images.to(visit.device), views, Scoring(len(images)), ("scores",))
    visit.note("batches that had no room", len(refused))
    visit.note("rows of the smallest", min(refused, default=0))
    same = [
        torch.allclose(a.scores["reconstruction"], b.scores["reconstruction"], rtol=1e-4)
        for a, b in zip(plain, found, strict=True)
    ]
    visit.note("scores are the same", all(same))
    assert refused, "memory did not run out: the step proves nothing"
    assert all(same)


class LittleMemory:
    """As if the device had no room for more than 64 images: the real error of a real allocation on a GPU."""

    def __init__(self, cells: Fleet, device: str, room: int = 64) -> None:
        self.cells, self.device, self.room, self.refused = cells, device, room, []  # type: ignore[var-annotated]
        self.plain = cells.over_cells

    def __enter__(self) -> list[int]:
        def over_cells(function: Callable[..., Any]) -> Callable[..., Any]:
            inner = self.plain(function)

            def limited(parameters: Any, buffers: Any, pixels: Any, noise: Any) -> Any:
                if pixels.shape[1] > self.room:
                    self.refused.append(int(pixels.shape[1]))
                    self._run_out()
                return inner(parameters, buffers, pixels, noise)

            return limited

        self.cells.over_cells = over_cells  # type: ignore[method-assign]
        return self.refused

    def _run_out(self) -> None:
        if self.device.startswith("cuda"):
            torch.empty(
                2 * torch.cuda.get_device_properties(self.device).total_memory, dtype=torch.uint8, device=self.device
            )
        raise torch.OutOfMemoryError("as if the memory had run out")

    def __exit__(self, *_: object) -> None:
        del self.cells.over_cells


def quick(visit: Visit) -> None:
    """The quick table here: seconds, and every mean beside the committed one of a CPU."""
    import pandas as pd

    models = ["model=pca,ae", "dataset=mnist", "split.normal_class=3"] if visit.tiny else []
    visit.note("seconds", visit.benchmark("quick", "-m", "+experiment=quick", *models, *visit.short))
    records = [json.loads((record / "status.json").read_text(encoding="utf-8"))["axes"] | _metrics(record)
               for record in visit.records("quick")]  # fmt: skip
    here = pd.DataFrame(records).groupby(["dataset", "model"])["auroc"].mean()
    committed = pd.read_csv(TOP / "results" / "quick" / "cells.csv").groupby(["dataset", "model"])["auroc"].mean()
    far = []
    for (dataset, model), value in here.items():
        gap = float(value - committed[dataset, model])
        visit.note(f"{dataset}, {model}: AUROC less that of the CPU", gap)
        far += [f"{model} on {dataset} ({gap:+.4f})"] if abs(gap) > NEAR else []
    visit.note("compared", len(here))
    assert visit.tiny or not far, f"further than {NEAR} from the committed means: {', '.join(far)}"


def graphs(visit: Visit) -> None:
    """``trainer.compile``, on a GPU as captured graphs: seconds and AUROC beside those without."""
    for compiled in ("false", "true"):
        options = ["model=anogan", "dataset=mnist", "split.normal_class=3", f"trainer.compile={compiled}", *visit.short]
        visit.note(f"compile={compiled}: seconds", visit.benchmark(f"compile-{compiled}", *options))
        (record,) = visit.records(f"compile-{compiled}")
        visit.note(f"compile={compiled}: AUROC", _metrics(record)["auroc"])
    gap = visit.findings["compile=true: AUROC"] - visit.findings["compile=false: AUROC"]
    assert visit.tiny or abs(gap) < 0.02, f"compiled AnoGAN has an AUROC {gap:+.3f} from that without"


def profile(visit: Visit) -> None:
    """What bounds a fleet's training: the operators that take most of the device's time, and the device's share."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    on_gpu, cells = visit.device.startswith("cuda"), 4 if visit.tiny else 50
    images = torch.zeros(512, 1, 28, 28, dtype=torch.uint8, device=visit.device)
    for name in CORE[:1] if visit.tiny else CORE:
        built = Fleet([model_class(name)((1, 28, 28)) for _ in range(cells)], visit.device)
        members = [Member(torch.arange(512), k, k) for k in range(cells)]
        settings = Settings(1, built.model.batch_size, 4 * built.model.batch_size if visit.tiny else 512)
        train(built, images, members, settings, Watch())  # warms up
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        start = time.perf_counter()
        with profiled(activities=kinds) as seen:
            train(built, images, members, settings, Watch())
        wall = time.perf_counter() - start
        key = "self_device_time_total" if on_gpu else "self_cpu_time_total"
        rows = sorted(seen.key_averages(), key=lambda row: -getattr(row, key))
        busy = sum(getattr(row, key) for row in rows) / 1e6
        visit.note(f"{name}: share of the time that the device is busy", busy / wall)
        visit.note(f"{name}: most of it", [f"{row.key} {getattr(row, key) / 1e6 / busy:.0%}" for row in rows[:6]])


def contract(visit: Visit) -> None:
    """What every model must do, on the device; what does not hold is noted, and the others go on."""
    from benchmark.data.images import load_images
    from benchmark.engine.contract import CHECKS, OF_FLEETS, Broken, Subject
    from benchmark.sweep.compose import compose_jobs
    from tests.tiny_models import build

    data = load_images(compose_jobs(["dataset=digits", "dataset.image_size=28"])[0].config.dataset, Path())
    broken: dict[str, str] = {}
    passed = 0
    for name in ("pca", "ae") if visit.tiny else model_names():
        subject = Subject(lambda seed, name=name: build(name, seed), data, device=visit.device)
        checks = [*CHECKS, *(OF_FLEETS if model_class(name).vmappable else ())]
        for check in checks[:3] if visit.tiny else checks:
            try:
                check(subject)
                passed += 1
            except (Broken, RuntimeError, ValueError) as error:
                broken[f"{name}: {check.__name__}"] = f"{type(error).__name__}: {str(error)[:300]}"
        visit.note("checks that hold", passed)
        visit.note("checks that do not", broken)
    assert not broken, f"{len(broken)} checks do not hold"


def _metrics(record: Path) -> dict[str, Any]:
    return json.loads((record / "metrics.json").read_text(encoding="utf-8"))


STEPS: dict[str, Callable[[Visit], None]] = {
    step.__name__: step for step in (machine, bits, fleet, precision, memory, quick, graphs, profile, contract)
}


def main(name: str, device: str, tiny: str, folder: str, result: str) -> None:
    STEPS[name](Visit(device, tiny == "true", Path(folder), Path(result)))


if __name__ == "__main__":
    main(*sys.argv[1:])
