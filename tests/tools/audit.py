"""Known vulnerabilities in the locked versions: ``python -m tests.tools.audit``, or ``make audit``.

It asks pip-audit, which asks the package index for advisories. A version that could not be looked up counts as not
audited and is a failure: silence is not a clean bill. Findings that do not concern this project stand in ``EXPLAINED``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[2] / "requirements.lock"
EXPLAINED: dict[str, str] = {}  # advisory -> why it does not concern this project


def judge(found: Sequence[Mapping[str, Any]], explained: Mapping[str, str]) -> tuple[list[str], int]:
    """Lines to show and the exit code, for pip-audit's ``dependencies``: 0 clean, 1 findings, 2 not all looked up."""
    lines, findings = [], 0
    for package in found:
        for advisory in package.get("vulns", []):
            name, why = f"{package['name']} {package['version']}: {advisory['id']}", explained.get(advisory["id"])
            fixed = ", ".join(advisory.get("fix_versions", [])) or "no version yet"
            lines.append(f"{name}: {why}" if why else f"{name}, fixed in {fixed}")
            findings += why is None
    unknown = [package["name"] for package in found if "skip_reason" in package]
    clean = len(found) - len(unknown)
    lines.append(f"{clean} of {len(found)} locked packages were looked up; {findings} findings without an explanation.")
    if unknown:
        lines.append(f"Not looked up, so not audited: {', '.join(unknown[:5])}{' ...' if len(unknown) > 5 else ''}")
    return lines, 1 if findings else 2 if unknown or not found else 0


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", *sys.argv[1:]]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        how = "" if find_spec("pip_audit") else " Type: pip install pip-audit"
        print(f"tests.tools.audit: pip-audit did not answer ({last[:300]}).{how}", file=sys.stderr)
        return 2
    lines, code = judge(found, EXPLAINED)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
