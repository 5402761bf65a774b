"""How warnings and errors read: one line each."""

from __future__ import annotations

import sys


def one_line(error: object, most: int = 200) -> str:
    """What an error or a foreign text says, in one line of at most so many characters, all of them printable.

    >>> one_line("a\\n  \\x1b[31mb")
    'a ?[31mb'
    """
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split()))[:most]


def shown(name: str) -> str:
    """A name as it can be printed in one line."""
    text = name.encode("utf-8", "replace").decode("utf-8")
    return text if text.isprintable() else ascii(text)[1:-1]


def named(error: BaseException, most: int = 200) -> str:
    """An error in one line with the name of its kind: ``ValueError: no such thing``."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:most]


def warn(text: str) -> None:
    """A warning on stderr, now."""
    print(f"warning: {text}", file=sys.stderr, flush=True)
