"""The house: which module may import which. Imports inside functions and for typing count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
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
    *("models", "rules", "engine", "store", "detect", "tracking", "report", "sweep"),
)
ONLY = {
    "mlflow": {"tracking"},
    "hydra": {"sweep"},
    "matplotlib": {"report", "tracking"},
}
WRITERS = {"data", "store"}
PATH_FIRST = {"os", "io", "gzip", "tarfile", "Image"}  # whose `open` takes a path, then a mode
WRITES = {
    *("write_text", "write_bytes", "touch", "mkdir", "makedirs", "mkdtemp", "mkstemp", "NamedTemporaryFile"),
    *("unlink", "remove", "rmdir", "rmtree", "rename", "renames", "move", "copy2", "copyfile", "copytree", "chmod"),
    *("symlink_to", "hardlink_to", "symlink", "link", "truncate", "savefig", "savez", "savez_compressed", "savetxt"),
    *("tofile", "imsave", "to_csv", "to_parquet", "to_pickle", "extractall", "urlretrieve", "dump"),
    *("write_json", "write_manifest", "write_frame"),  # our own, which write under a name that they are given
}  # functions and methods of these names; `open`, `save` and `replace` are told apart by what they are given
MADE = "in the folder that `scratch` made for the report"
HANDED = {  # function -> what it calls, why it may
    "report.build._build": ({"mkdir", "write_text", "write_frame", "write_manifest", "move"}, MADE),
    "report.tables.writing.write_tables": ({"mkdir", "write_text"}, MADE),
    "report.frame.write_frame": ({"to_csv"}, MADE),
    "report.figures.draw.draw_figures": ({"mkdir"}, MADE),
    "report.figures.kept.keep_figures": ({"mkdir", "copyfile"}, MADE),
    "report.figures.draw._draw_part": ({"save"}, MADE),
    "report.figures.draw._draw_across": ({"save"}, MADE),
    "report.figures.draw.save": ({"savefig", "save"}, MADE),
    "select._write": ({"write_text"}, MADE),
    "select._write_table": ({"write_text"}, MADE),
    "report.manifest.write_manifest": ({"write_text"}, MADE),
    "report.manifest.move": (
        {"mkdir", "replace", "unlink", "rmdir", "write_manifest"},
        "puts what `scratch` holds in place file by file: others in that folder are not the report's",
    ),
    "engine.judge._make": ({"save"}, "under the name that `replacing` gives"),
    "tracking.figure.cell_figure": ({"savefig"}, "in a temporary folder, for MLflow to take"),
    "tracking.download._fetch": ({"mkdir", "replace"}, "in a temporary folder, from which a report is made"),
    "engine.contract.scores_survive_saving_and_loading": ({"save"}, "in memory"),
    "detect.table.table_at": ({"open"}, "under the name that `replacing` gives"),
    "detect.table.table_on": ({"mkdir", "open"}, "adds whole lines to a table, for a folder that fills"),
    "detect.table.drop_unfinished": ({"open", "truncate"}, "cuts off what is no whole line, for a folder that fills"),
    "detect.page._png": ({"save"}, "in memory"),
    "detect.scoring._write_page": ({"write_text"}, "under the name that `replacing` gives"),
    "tracking.models._copy": ({"mkdir", "copyfile"}, "in a temporary folder, for MLflow to take"),
    "tracking.models.save_model": ({"save"}, "in a temporary folder, for MLflow to take"),
    "export._write": ({"write_bytes"}, "under the name that `replacing` gives"),
    "export._quiet": ({"open"}, "the null device, for what torch prints"),
    "report.explorer.tiles.picture": ({"save"}, "in memory"),
    "sweep.check._check_folder": ({"makedirs"}, "makes output_dir, to refuse one that cannot be written"),
    "sweep.signals._printed": ({"open"}, "the null device, in place of a pipe that nobody reads"),
    "tracking.client.connect": ({"mkdir"}, "the folder of MLflow's own database"),
    "tracking.client.create_store": ({"unlink"}, "MLflow's own database, which it writes itself"),
}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports_of(module: str) -> Iterator[str]:
    """Full names of what a module imports, wherever in it; of ``from a import b``, ``a.b`` if that is a module."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by dots: write the full name"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


@cache
def graph() -> dict[str, set[str]]:
    """Module -> those of ours that it imports."""
    return {module: {name for name in imports_of(module) if name in MODULES} - {module} for module in MODULES}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def height(module: str) -> int:
    room = room_of(module)
    if room == "report" and module.endswith("__main__"):  # the report's command
        return len(ROOMS)
    return ROOMS.index(room) if room in ROOMS else len(ROOMS)


LAZY = "benchmark -> benchmark.detect.detector"  # in __getattr__: what people import from the package (PEP 562)


def test_nothing_imports_upwards() -> None:
    upwards = [
        f"{module} -> {name}" for module, names in graph().items() for name in names if height(name) > height(module)
    ]
    assert upwards == [LAZY]
    commands = {module for module in MODULES if height(module) == len(ROOMS)}
    assert {"benchmark.__main__", "benchmark.status"} <= commands


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not counted: a package's own __init__, which python runs before any of its modules."""
    order = list(TopologicalSorter(graph()).static_order())  # raises CycleError, which names the circle
    assert set(order) == set(MODULES)


def test_rooms_alone_import_what_is_theirs() -> None:
    for module in MODULES:
        for name in imports_of(module):
            rooms = ONLY.get(name.split(".")[0])
            allowed = rooms is None or room_of(module) in rooms or height(module) == len(ROOMS)
            assert allowed, f"{module} imports {name}"


def writes_of(module: str) -> Iterator[tuple[str, str]]:
    """The function that holds it, "" outside of any, and the name of each call that writes, moves or removes a file."""

    def visit(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Call) and (name := _written_by(node)) is not None:
            yield function, name
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    yield from visit(tree_of(module), "")


def _written_by(call: ast.Call) -> str | None:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    owner = function.value.id if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else ""
    if name == "open" and owner == "Tracker":  # no file
        return None
    if name == "open":  # Path.open(mode) or open(path, mode): a mode that is no constant counts
        is_method = isinstance(function, ast.Attribute) and owner not in PATH_FIRST
        given = [*call.args[0 if is_method else 1 :], *(k.value for k in call.keywords if k.arg == "mode")]
        modes = [str(one.value) if isinstance(one, ast.Constant) else "w" for one in given[:1]]
        return name if any(set(mode) & set("wax+") for mode in modes) else None
    if name == "replace":  # Path.replace(target) has one argument and os.replace is named so; str.replace has two
        return name if owner == "os" or (len(call.args) == 1 and not call.keywords) else None
    if name == "save" and owner == "saving":  # of a detector: into a record, which `store/` writes
        return None
    if name == "save":
        return name if call.args else None
    if name in ("remove", "dump", "copy2"):
        return name if owner in ("os", "json", "shutil", "yaml", "torch", "pickle") or name == "copy2" else None
    if name == "to_csv" and isinstance(function, ast.Name):  # a table's text, not a frame's file
        return None
    return name if name in WRITES else None


def test_store_and_data_alone_write_files() -> None:
    """What is written elsewhere is written into what `data/writing.py` made for it, or has a reason of its own."""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        if room_of(module) not in WRITERS:
            for function, name in writes_of(module):
                found.setdefault(f"{module.removeprefix('benchmark.')}.{function}", set()).add(name)
    assert found == {function: names for function, (names, _) in HANDED.items()}
    assert {name for module in MODULES if room_of(module) in WRITERS for _, name in writes_of(module)} >= {
        *("write_text", "open", "replace", "rename", "savez_compressed", "save", "to_csv", "unlink", "mkdir"),
    }, "the scan no longer sees what the rooms do that write"


def test_every_room_says_what_it_is_for() -> None:
    for room in (path for path in PACKAGE.rglob("*") if (path / "__init__.py").is_file()):
        text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        assert text, f"{room.name}/__init__.py has no sentence"
    counts = {room: len([*room.glob("*.py")]) for room in PACKAGE.rglob("*") if (room / "__init__.py").is_file()}
    assert max(counts.values()) <= 25, counts
