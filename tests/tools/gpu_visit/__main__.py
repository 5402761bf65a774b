"""``python -m tests.tools.gpu_visit out=FOLDER [device=cuda] [tiny=false] [minutes=30] [only=quick]``, or ``pack``.

Writes ``visit.json`` (everything) and ``visit.md`` (a line a finding) into FOLDER, anew after every step; the exit code
is 1 if a step failed or ran out of time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.tools.gpu_visit import TOP, pack

LIMITS = {  # step -> seconds it may take on a GPU; in this order: what is short and says most comes first
    "machine": 60, "bits": 180, "fleet": 240, "precision": 180, "memory": 120, "quick": 600, "graphs": 240,
    "profile": 120, "contract": 420,
}  # fmt: skip
REHEARSAL = 4  # times as long: a rehearsal is small, and its machine is slow or shared
USAGE = f"python -m tests.tools.gpu_visit out=FOLDER [device=cuda] [tiny=false] [minutes=30] [only={','.join(LIMITS)}]"
KEYS = {"out", "device", "tiny", "minutes", "only"}


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["pack"]:
        pack.pack()
        return 0
    given = dict(argument.partition("=")[::2] for argument in arguments)
    chosen = given.get("only", ",".join(LIMITS)).split(",")
    minutes, tiny = given.get("minutes", "30"), given.get("tiny", "false")
    known = given.keys() <= KEYS and set(chosen) <= set(LIMITS)
    if not given.get("out") or not known or not minutes.isdecimal() or tiny not in ("true", "false"):
        print(f"gpu_visit does not know {' '.join(arguments) or 'where to write'}. Type: {USAGE}", file=sys.stderr)
        return 2
    out = Path(given["out"])
    out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * int(minutes)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        more = pack.unpack(Path(scratch) / "luggage")
        for name in chosen:
            limit = min(LIMITS[name] * (REHEARSAL if tiny == "true" else 1), end - time.monotonic())
            options = [given.get("device", "cuda"), tiny, str(Path(scratch) / name)]
            found[name] = run(name, options, limit, more)
            write(out, found)
            print(f"{name}: {found[name]['state']} after {found[name]['seconds']:.0f} s", flush=True)
    return int(any(step["state"] != "done" for step in found.values()))


def run(name: str, options: Sequence[str], limit: float, more: Mapping[str, str]) -> dict[str, Any]:
    """One step in a process of its own, ended with all that it started when its time is over."""
    if limit <= 0:
        return {"state": "no time was left", "seconds": 0.0, "findings": {}}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", "tests.tools.gpu_visit.steps", name, *options, str(result)]
        step = subprocess.Popen(
            command, cwd=TOP, env={**os.environ, **more}, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = step.communicate(timeout=limit)
            state = "done" if step.returncode == 0 else f"failed ({step.returncode})"
        except subprocess.TimeoutExpired:
            os.killpg(step.pid, signal.SIGKILL)
            output, _ = step.communicate()
            state = f"stopped at its limit of {limit:.0f} s"
        findings = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    seconds = time.monotonic() - start
    return {"state": state, "seconds": seconds, "findings": findings, "output": (output or "")[-4000:]}


def write(out: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Both files, under another name first: what is there is whole."""
    lines = ["# GPU visit", ""]
    for name, step in found.items():
        lines += [f"## {name}: {step['state']}, {step['seconds']:.0f} s", ""]
        lines += [f"- {key}: {_shown(value)}" for key, value in step["findings"].items()]
        if step["state"] != "done" and step.get("output"):
            lines += ["", "```", step["output"][-1500:], "```"]
        lines.append("")
    for file, text in (("visit.json", json.dumps(found, indent=1)), ("visit.md", "\n".join(lines))):
        new = out / f"{file}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(out / file)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
