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

from benchmark.targets import module_file

ROOT = Path(__file__).parent
PARTS = (  # what of the benchmark counts as part of a model or rule, or of a committee of cells
    *("benchmark.models.", "benchmark.rules."),
    "benchmark.engine.committee",
)
KINDS = "benchmark.models.keywords"  # what settings may be, which changes no number: no part of it


@cache
def model_code(target: str) -> str:
    """SHA-256 of the code of a model's class or module, as 64 hexadecimal digits; "" if there is none.

    ``target`` is a dotted path, or the name of a model of this package. Read once a process: a file that is
    changed while a cell trains is not the code that trains it.
    """
    target = target if "." in target else f"benchmark.models.{target}"
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts) or len(target) > 1000:
        return ""
    if target.startswith(PARTS):
        return code_of(".".join(parts[:3]), ROOT)
    for count in (len(parts) - 1, len(parts)):
        if count and (file := module_file(".".join(parts[:count]))) is not None:
            folder = file.parents[count if file.name == "__init__.py" else count - 1]
            return code_of(".".join(parts[:count]), folder / parts[0])
    return ""


def cell_code(name: str, target: str) -> str:
    """The code of a model as a record names it: SHA-256, behind the dotted path of a class that is not ours."""
    return model_code(target) if is_ours(name, target) else f"{target}:{model_code(target)}"


def code_now(name: str, recorded: str | None) -> str:
    """The code, as it is now, of the model that a record with this name and code is of; "" if there is none."""
    target, colon, _ = (recorded or "").rpartition(":")
    now = model_code(target or name)
    return f"{target}{colon}{now}" if now else ""


def is_ours(name: str, target: str) -> bool:
    """Whether a model is the one of this package that has this name."""
    return target.rpartition(".")[0] == f"benchmark.models.{name}"


def code_of(module: str, root: Path) -> str:
    """SHA-256 of a module of the package in ``root`` and of the parts that it imports, and those import, in turn.

    Parts of a package of somebody else are its modules, and those that lie beside it; of ours those of the models.
    """
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(name, module.split(".")[0], root)
        if name in found or path is None:  # a name inside a module, or a package
            continue
        found[name], imported = _read(name, path)
        waiting += [part for part in imported if not part.startswith("benchmark.") or part.startswith(PARTS)]
    if module not in found:
        return ""
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name}\0{found[name]}\0".encode())
    return digest.hexdigest()


def _file(module: str, own: str, root: Path) -> Path | None:
    """The file of a module of the package ``own`` in ``root``, of one beside it, or of our models' parts."""
    top, *rest = module.split(".")
    if top == "benchmark":
        path = (root if own == top else ROOT).joinpath(*rest).with_suffix(".py")
        return path if path.is_file() and module.startswith(PARTS) and module != KINDS else None
    if top != own and ("site-packages" in root.parts or not top.isidentifier()):
        return None
    path = root.parent.joinpath(top, *rest)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _read(name: str, path: Path) -> tuple[str, tuple[str, ...]]:
    """The program of a module, and what it imports."""
    content = path.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # half written: it cannot be trained, and is another one than before
        return repr(content), ()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imported = _strip(tree, package)
    return ast.unparse(tree), imported


def _strip(tree: ast.Module, package: str) -> tuple[str, ...]:
    """Take out of a module what changes no number; returns what it imports.

    That is docstrings, and what its settings may be: the kinds that arguments are annotated with, and where they come
    from. In one walk, as ``benchmark.status`` does little else.
    """
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported += _imported(node, package)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.returns = None
            texts = [part for part in node.body if not _is_text(part)]
            node.body = texts or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.module == KINDS)]
    return tuple(imported)


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a text alone: a docstring, or one that stands below an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Full names of what is imported; of ``from a import b`` both ``a`` and ``a.b``, as ``b`` may be a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names)
