"""``python -m tests.claims [write]``: see the package's docstring."""

from __future__ import annotations

import sys

from tests.claims.cells import ROOT
from tests.claims.claim import Absent, Claim
from tests.claims.exceptions import AWAITED
from tests.claims.pages import block, refreshed
from tests.claims.registry import CLAIMS, PAGES
from tests.claims.tables import BLOCKS, WHOLE


def _is_absent(claim: Claim) -> bool:
    try:
        claim.parts()
    except Absent:
        return True
    return False


def main(write: bool) -> int:
    code = 0
    for name in PAGES:
        path, claims = ROOT / name, CLAIMS.get(name, [])
        text = path.read_text(encoding="utf-8")
        new = refreshed(text, claims, BLOCKS)
        for marker, whole in WHOLE.items():
            found, wanted = block(new, marker), whole()
            if found is not None and wanted is not None:
                new = new[: found.start()] + wanted + new[found.end() :]
        for claim in claims:
            if not claim.pattern.search(new):
                print(f"{name}: no longer there: {claim.text}")
                code = 1
            elif _is_absent(claim) and name not in {page for page, _ in AWAITED}:
                print(f"{name}: its cells are not in results/: {claim.text}")
                code = 1
            elif not claim.stands():
                print(f"{name}: no longer true: {claim.text}")
                code = 1
        if new != text:
            print(f"{name}: {'written' if write else 'numbers have moved'}")
            code = code if write else 1
            if write:
                path.write_text(new, encoding="utf-8")
    return code


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["write"]):
        sys.exit("python -m tests.claims, or python -m tests.claims write")
    sys.exit(main(write=sys.argv[1:] == ["write"]))
