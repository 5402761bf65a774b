"""The notebook of docs/notebook: a script with ``# %%`` lines, from which the .ipynb is made with outputs.

``python -m tests.tools.notebook`` runs the source and writes the .ipynb beside it. Nothing of Jupyter is needed for it:
cells are run one after the other in one namespace, what they print and the figures they show are kept.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "notebook" / "ae_to_anogan.py"
MARK = "# %%"
DPI = 80


@dataclass
class Cell:
    """A cell of the notebook: Markdown, or code with what it gave when it was run."""

    kind: str  # code | markdown
    text: str
    outputs: list[dict[str, Any]] = field(default_factory=list)


def cells(text: str) -> list[Cell]:
    """The cells of a script.

    >>> [(cell.kind, cell.text) for cell in cells("# %% [markdown]\\n# # Title\\n#\\n# Text\\n\\n# %%\\nx = 1\\n")]
    [('markdown', '# Title\\n\\nText'), ('code', 'x = 1')]
    """
    found = []
    for part in text.split(f"{MARK}")[1:]:
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            lines = (line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines())
            found.append(Cell("markdown", "\n".join(lines)))
        else:
            found.append(Cell("code", body.strip("\n")))
    return found


def run(source: Path = SOURCE) -> tuple[dict[str, Any], list[Cell]]:
    """Run every cell: the names that they leave, and the cells with their outputs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names: dict[str, Any] = {"__name__": "notebook"}
    found = cells(source.read_text(encoding="utf-8"))
    for number, cell in enumerate(found):
        if cell.kind != "code":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(cell.text, f"{source.name}, cell {number}", "exec"), names)
        for place in plt.get_fignums():
            file = io.BytesIO()
            plt.figure(place).savefig(file, dpi=DPI, metadata={"Software": None}, bbox_inches="tight")
            image = base64.b64encode(file.getvalue()).decode()
            cell.outputs.append({"output_type": "display_data", "metadata": {}, "data": {"image/png": image}})
        plt.close("all")
        if printed.getvalue():
            text = printed.getvalue().splitlines(keepends=True)
            cell.outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    return names, found


def notebook(found: list[Cell]) -> str:
    """The .ipynb (nbformat 4.5) of these cells."""
    written = []
    for number, cell in enumerate(found):
        one: dict[str, Any] = {"cell_type": cell.kind, "id": f"cell-{number}", "metadata": {}}
        one["source"] = cell.text.splitlines(keepends=True)
        if cell.kind == "code":
            one |= {"execution_count": None, "outputs": cell.outputs}
        written.append(one)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": written, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    place = SOURCE.with_suffix(".ipynb")
    place.write_text(notebook(run()[1]), encoding="utf-8")
    print(place)
