"""``make paper``: make what the sources read, compile, refuse every warning, put the PDF in place.

The PDF is the same bytes for the same cells, sources and TeX: its dates are those of the latest cell.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from tests.tools.paper import BUILD, HASHES, PDF, SOURCES, TOP, appendix, figures, macros, statements, tables

TOOLS = ("latexmk", "pdflatex", "bibtex")
INSTALL = "apt-get install latexmk lmodern texlive-latex-recommended texlive-latex-extra texlive-fonts-recommended"
TEXTS = (".tex", ".bib")
MOST = 1_500_000  # bytes
FAULTS = re.compile(
    r"^(?:.*Warning[:\s].*|(?:Over|Under)full .*|! .*|.*undefined (?:references|citations).*)$", re.MULTILINE
)
HARMLESS = re.compile(r"Underfull \\[hv]box")  # a line or page with more white than TeX likes; nothing is cut off


def main() -> int:
    """The exit code: 0, or 1 with what is wrong, or 2 where TeX is missing."""
    missing = lacking()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    shutil.rmtree(BUILD, ignore_errors=True)
    lay_out(BUILD)
    wrong = [*statements.untrue(), *compiled(BUILD)]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    PDF.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(BUILD / "paper.pdf", PDF)
    HASHES.write_text(json.dumps({"pdf": digest(PDF.read_bytes()), "sources": sources()}, indent=1) + "\n", "utf-8")
    print(f"{PDF.relative_to(TOP)}: {pages(BUILD)} pages, {PDF.stat().st_size / 1000:.0f} kB")
    return 0


def lacking() -> str | None:
    """What to say where TeX is not installed."""
    found = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"make paper needs {', '.join(found)}, which is not installed. On Debian: {INSTALL}" if found else None


@cache
def generated() -> dict[str, str]:
    """Everything that is made for the sources, by its name without .tex."""
    return {"macros": macros.definitions(), **tables.all_tables(), **appendix.all_tables()}


def sources() -> str:
    """The SHA-256 of all text that the PDF is made of: sources, macros, tables and the date of the latest cell."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in SOURCES.iterdir() if path.suffix in TEXTS}
    return digest(json.dumps([texts, generated(), last_cell()], sort_keys=True).encode())


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lay_out(folder: Path) -> None:
    """Copy the sources into ``folder`` and make beside them what they read, in ``generated``."""
    (folder / "generated").mkdir(parents=True)
    for path in SOURCES.iterdir():
        if path.suffix in TEXTS:
            shutil.copyfile(path, folder / path.name)
    for name, text in generated().items():
        (folder / "generated" / f"{name}.tex").write_text(f"% generated: make paper\n{text}", encoding="utf-8")
    figures.draw_all(folder / "generated")


def compiled(folder: Path) -> list[str]:
    """Compile ``paper.tex`` in ``folder``; what is wrong with it, each in one line."""
    epoch = {"SOURCE_DATE_EPOCH": str(last_cell()), "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
    command = ["latexmk", "-pdf", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    for more in ([], ["-g"]):  # latexmk takes an .aux of the same size and second for the same one
        ran = subprocess.run([*command, *more], cwd=folder, env={**os.environ, **epoch}, capture_output=True, text=True)
        log = _read(folder / "paper.log")
        if "Rerun to get" not in log:
            break
    bib = _read(folder / "paper.blg")
    wrong = faults(log) + [line for line in bib.splitlines() if line.startswith("Warning--") or "error message" in line]
    if ran.returncode and not wrong:
        wrong = [f"latexmk ended with {ran.returncode}: {ran.stdout[-400:]}{ran.stderr[-400:]}"]
    size = (folder / "paper.pdf").stat().st_size if (folder / "paper.pdf").exists() else 0
    return [*wrong, *([f"the PDF has {size:,} bytes, {MOST:,} are allowed"] if size > MOST else [])]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def faults(log: str) -> list[str]:
    """The warnings of the last run in LaTeX's log, each once; none of what only says that a line is loose.

    >>> faults("Overfull \\\\hbox (2.1pt too wide) in paragraph\\nUnderfull \\\\hbox (badness 1000)\\nall well")
    ['Overfull \\\\hbox (2.1pt too wide) in paragraph']
    """
    return [line for line in dict.fromkeys(FAULTS.findall(log)) if not HARMLESS.match(line)]


def pages(folder: Path) -> int:
    found = re.search(r"Output written on paper\.pdf \((\d+) page", (folder / "paper.log").read_text(errors="replace"))
    return int(found[1]) if found else 0


def last_cell() -> int:
    """Seconds since 1970 at which the latest cell of the paper's experiments ended."""
    manifests: list[Mapping[str, str]] = [
        json.loads((TOP / "results" / name / "manifest.json").read_text(encoding="utf-8"))
        for name in appendix.experiments()
    ]
    return max(int(datetime.fromisoformat(found["last_cell_finished"]).timestamp()) for found in manifests)


if __name__ == "__main__":
    sys.exit(main())
