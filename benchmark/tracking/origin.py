"""Where a run comes from, under the names that MLflow's own runs have: with which program, by whom, of which commit.

The user is who sends the run, as MLflow finds it: MLFLOW_TRACKING_USERNAME or MLflow's file of credentials, else what
the environment says (LOGNAME, USER), else the account. Nobody checks it, and whoever reads the store reads it: to be
another or nobody there, set LOGNAME. The source is the name of a module, never a path of the machine.
"""

from __future__ import annotations

import re
import shlex

PROGRAM = "benchmark"


def origin_tags(command: str, git_revision: str) -> dict[str, str]:
    """Tags of a run that ``command`` made with the code of ``git_revision``, as records have it.

    The commit is left out where it is not known; that files differed from it stands in the tag ``git_revision``.
    """
    tags = {
        "mlflow.source.name": program_of(command),
        "mlflow.source.type": "LOCAL",
        "mlflow.user": user(),
    }
    commit = re.match(r"[0-9a-f]{40}", git_revision)
    return tags | ({"mlflow.source.git.commit": commit[0]} if commit else {})


def program_of(command: str) -> str:
    """The module that ``python -m`` was given, such as ``benchmark.rescore``."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that is not closed: somebody else's command
        return PROGRAM
    return words[2] if words[:2] == ["python", "-m"] and len(words) > 2 else PROGRAM


def user() -> str:
    """The user's name as MLflow finds it; "unknown" where there is none, as for an account without a name."""
    from mlflow.tracking.context.default_context import DefaultRunContext

    try:
        return str(DefaultRunContext().tags()["mlflow.user"])
    except Exception:  # KeyError or OSError of the system's accounts, an unreadable file of credentials
        return "unknown"
