"""The house: which module may import which. Imports inside functions and for typing count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import benchmark

PACKAGE = Path(benchmark.__file__).parent
# From the ground up: a room imports itself and what stands before it. What is in no room is a command: it may import
# any room, and no room imports it. `benchmark` itself is its __init__, which pins the processor's instructions.
ROOMS = (
    *(
        "instructions",
        "early",
        "benchmark",
        "say",
        "config",
        "chosen",
        "targets",
        "code_hash",
        "seeds",
        "data",
        "cells",
    ),
    *("models", "rules", "engine", "store", "tracking", "report", "sweep"),
)
ONLY = {
    "mlflow": {"tracking"},
    "hydra": {"sweep"},
    "matplotlib": {"report", "tracking"},
}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(module: str) -> Iterator[str]:
    """Full names of what a module imports, wherever in it; of ``from a import b``, ``a.b`` if that is a module."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by dots: write the full name"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


GRAPH = {module: {name for name in imports_of(module) if name in MODULES} - {module} for module in MODULES}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def height(module: str) -> int:
    room = room_of(module)
    if room == "report" and module.endswith("__main__"):  # the report's command
        return len(ROOMS)
    return ROOMS.index(room) if room in ROOMS else len(ROOMS)


def test_nothing_imports_upwards() -> None:
    upwards = [
        f"{module} -> {name}" for module, names in GRAPH.items() for name in names if height(name) > height(module)
    ]
    assert not upwards
    commands = {module for module in MODULES if height(module) == len(ROOMS)}
    assert {"benchmark.__main__", "benchmark.status"} <= commands


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not counted: a package's own __init__, which python runs before any of its modules."""
    order = list(TopologicalSorter(GRAPH).static_order())  # raises CycleError, which names the circle
    assert set(order) == set(MODULES)


def test_rooms_alone_import_what_is_theirs() -> None:
    for module in MODULES:
        for name in imports_of(module):
            rooms = ONLY.get(name.split(".")[0])
            allowed = rooms is None or room_of(module) in rooms or height(module) == len(ROOMS)
            assert allowed, f"{module} imports {name}"


def test_every_room_says_what_it_is_for() -> None:
    for room in (path for path in PACKAGE.rglob("*") if (path / "__init__.py").is_file()):
        text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        assert text, f"{room.name}/__init__.py has no sentence"
    counts = {room: len([*room.glob("*.py")]) for room in PACKAGE.rglob("*") if (room / "__init__.py").is_file()}
    assert max(counts.values()) <= 25, counts
