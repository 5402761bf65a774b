"""The paper: LaTeX sources in docs/paper, and the numbers, tables and figures that are made for them from results/.

``make paper`` runs ``python -m tests.tools.paper``. No measured number is typed into a source: a sentence holds a macro
(``macros.py``), a table or figure is made here (``tables.py``, ``appendix.py``, ``figures.py``) from the committed
``results/*/cells.csv``. When results/paper has been run, its cells take the place of those of results/quick
(``sources.py``) at the next ``make paper``, words such as "one seed" with them.
"""

from pathlib import Path

TOP = Path(__file__).resolve().parents[3]  # the repository
SOURCES = TOP / "docs" / "paper"  # paper.tex, its sections, references.bib
BUILD = TOP / "build" / "paper"  # what is generated, and what LaTeX leaves
PDF = TOP / "results" / "paper" / "paper.pdf"
HASHES = PDF.with_suffix(".json")  # SHA-256 of the PDF, and of all text that it was made of
