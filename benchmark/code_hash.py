"""The code of a model, as one number: its own module and the parts and rules of the benchmark that it uses.

A record names it, so that a cell which was trained by other code is not taken for finished. What is compared is the
program, not the text: comments, docstrings and formatting do not count. Torch is not imported.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent
PARTS = ("benchmark.models.",)  # what of the benchmark counts as part of a model


@cache
def model_code(name: str) -> str:
    """SHA-256 of the code of the model ``name``, as 64 hexadecimal digits; "" if there is no such model.

    Read once a process: a file that is changed while a cell trains is not the code that trains it.
    """
    return code_of(f"benchmark.models.{name}", ROOT) if name.isidentifier() and len(name) < 200 else ""


def code_of(module: str, root: Path) -> str:
    """SHA-256 of a module of the package in ``root`` and of the parts that it imports, and those import, in turn."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = root.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if name in found or not path.is_file():  # a name inside a module, or a package
            continue
        found[name], imported = _read(name, path)
        waiting += [part for part in imported if part.startswith(PARTS)]
    if module not in found:
        return ""
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name}\0{found[name]}\0".encode())
    return digest.hexdigest()


@cache
def _read(name: str, path: Path) -> tuple[str, tuple[str, ...]]:
    """The program of a module, and what it imports."""
    content = path.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # half written: it cannot be trained, and is another one than before
        return repr(content), ()
    return ast.unparse(_without_docstrings(tree)), tuple(_imported(tree, name))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            texts = [part for part in node.body if not _is_text(part)]
            node.body = texts or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return tree


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a text alone: a docstring, or one that stands below an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imported(tree: ast.Module, module: str) -> Iterator[str]:
    """Full names of what a module imports; of ``from a import b`` both ``a`` and ``a.b``, as ``b`` may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
