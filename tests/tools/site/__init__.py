"""The documentation site: README, docs/ and results/ as pages, a leaderboard, and a check of what came out.

``make docs`` runs ``python -m tests.tools.site``. Nothing here is typed by hand but the order of the pages (mkdocs.yml)
and the formulas of sentences as TeX (formulas.yaml); numbers come from ``results/*/cells.csv``.
"""

from pathlib import Path

HERE = (
    Path(__file__).resolve().parent
)  # with assets/ (style, scripts, a font), formulas, and pages that only the site has
TOP = HERE.parents[2]  # the repository
