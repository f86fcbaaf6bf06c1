"""The rooms of the package stand in layers: no module imports one of a layer above its own.

Imports are read from the source with `ast`, those inside functions and for type checkers only too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import crossnest

PACKAGE = Path(crossnest.__file__).parent

#: Rooms and modules of the top, lowest first; those of one line know nothing of each other.
LAYERS = (
    ("base", "datasets", "embedding"),
    ("data", "tables"),
    ("formula",),
    ("design",),
    ("fit",),
    ("linear", "prediction"),
    ("inference",),
    ("diagnostics",),
    ("report",),
    ("plotting",),
    ("storage",),
    ("neighbours.maketables",),
    ("model",),
    ("lmer", "loading"),
    ("classical", "neighbours"),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
LAYER_OF = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}


#: Modules with imports inside functions, each imported before by nobody who does not need it.
LATE = {
    "model",  # the verbs
    "plotting.accessor",  # the plots
    "report.summary",  # scipy.stats
    "classical.lm_list",  # the plots
    "classical.pooling",
    "data.frames",  # the bundled data
}


def modules() -> dict[str, Path]:
    """Return the files of the package by dotted name, a package's own as ``room.__init__``."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in files}


MODULES = modules()


def imports(tree: ast.AST, type_checking: bool) -> Iterator[ast.ImportFrom]:
    """Yield the relative imports below a node; those for type checkers only if asked for."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield node
        hidden = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if type_checking or not hidden:
            yield from imports(node, type_checking)


def imported_by(module: str, type_checking: bool = True) -> Iterator[str]:
    """Yield the modules of the package that a module imports, wherever in its text."""
    package = module.split(".")[:-1]
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in imports(tree, type_checking):
        source = package[: len(package) - node.level + 1] + (node.module or "").split(".")
        for name in node.names:
            inner = ".".join([*source, name.name]).strip(".")
            outer = ".".join(source).strip(".")
            if name.name != "_core" and outer != "_core":
                candidates = (inner, f"{inner}.__init__", outer, f"{outer}.__init__".strip("."))
                yield next(one for one in candidates if one in MODULES)


def room_of(module: str) -> str:
    return module if module in LAYER_OF else module.split(".")[0]


def test_every_room_has_its_layer():
    assert {room_of(module) for module in MODULES} == set(LAYER_OF)


def test_imports_go_down():
    ups = {
        (module, room_of(target))
        for module in MODULES
        for target in imported_by(module)
        if room_of(target) != room_of(module)
        and room_of(target) in LAYER_OF
        and LAYER_OF[room_of(target)] >= LAYER_OF[room_of(module)]
    }
    assert not ups


def test_no_circle():
    below = {module: set(imported_by(module, type_checking=False)) for module in MODULES}
    while free := [module for module, targets in below.items() if not targets & set(below)]:
        for module in free:
            del below[module]
    assert not below


def test_imports_inside_functions_are_few():
    """They are for what takes long to import or is seldom needed, never to dodge a circle."""
    late = {
        module
        for module, file in MODULES.items()
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for _ in imports(function, type_checking=True)
    }
    assert late == LATE


def test_one_file_names_what_is_used_of_formulaic():
    users = {
        module
        for module, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
        if name.partition(".")[0] == "formulaic"
    }
    assert users == {"formula.formulaic_parts"}
