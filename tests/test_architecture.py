"""The architecture: which package may import which, no import cycles, no TensorFlow when a command starts, small files.

The tests read the imports of every module from its syntax tree. An import within a function counts like any other;
an import for type checkers only (`if TYPE_CHECKING:`) does not count.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAXIMUM_LINES = 400

# The packages that each package may import, besides itself.
ALLOWED = {
    "configs": set(),
    "data": {"configs"},
    "backbones": {"configs", "data"},
    "tasks": {"configs", "data", "backbones"},
    "explain": {"configs", "data", "backbones", "tasks"},
    "pipeline": {"configs", "data", "backbones", "tasks", "explain"},
    "cli": {"configs", "data", "backbones", "tasks", "explain", "pipeline"},
}
# The same for the folders within `data` and `pipeline`. Modules that lie beside the folders are not restricted here;
# that they make no cycle is tested below.
ALLOWED_WITHIN = {
    "data": {
        "storage": set(),
        "decoding": {"storage"},
        "augmentation": {"decoding"},
        "readers": {"storage", "decoding"},
        "checking": {"storage", "decoding", "readers"},
    },
    "pipeline": {
        "runs": set(),
        "inputs": {"runs"},
        "runtimes": {"runs"},
        "evaluation": {"runs", "inputs", "runtimes"},
        "reports": {"runs", "evaluation"},
        "prediction": {"runs", "inputs", "runtimes"},
        "exporting": {"runs", "runtimes", "evaluation"},
        "explaining": {"runs", "inputs", "runtimes", "prediction"},
        "training": {"runs", "inputs", "runtimes", "evaluation", "reports", "explaining"},
        "demos": {"runs", "training", "evaluation", "exporting", "prediction"},
    },
}


def module_name(path: Path) -> str:
    parts = ["retinue", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def library_modules() -> dict[str, Path]:
    """Return the modules of the library by name. Tests, benchmarks, docs and setup.py are not part of it."""
    top_level = [path for path in ROOT.glob("*.py") if path.name != "setup.py"]
    in_packages = [path for package in ALLOWED for path in (ROOT / package).rglob("*.py")]
    return {module_name(path): path for path in [*top_level, *in_packages]}


MODULES = library_modules()


def import_nodes(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the import statements of a syntax tree, except those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from import_nodes(node)


def imported_modules(source: str, modules: set[str]) -> set[str]:
    """Return those of `modules` that the code `source` imports."""
    found = set()
    for node in import_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and name not in modules:
                name = name.rpartition(".")[0]
            if name and name != "retinue":
                found.add(name)
    return found


def import_graph() -> dict[str, set[str]]:
    known = set(MODULES)
    return {name: imported_modules(path.read_text(encoding="utf-8"), known) - {name} for name, path in MODULES.items()}


GRAPH = import_graph()


def find_cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules that import each other in a circle: modules that reach each other and themselves."""

    def reachable(start: str) -> set[str]:
        seen, waiting = set(), [start]
        while waiting:
            for name in graph[waiting.pop()] - seen:
                seen.add(name)
                waiting.append(name)
        return seen

    reach = {name: reachable(name) for name in graph}
    cycles = [
        frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]
    ]
    return [set(cycle) for cycle in set(cycles)]


def package_of(module: str) -> str:
    return module.split(".")[1]


def folder_of(module: str) -> str | None:
    """Return the folder within `data` or `pipeline` that a module lies in, or None if it lies beside the folders."""
    parts = module.split(".")
    within = ALLOWED_WITHIN.get(parts[1], {})
    return parts[2] if len(parts) > 2 and parts[2] in within else None


def forbidden_imports(graph: dict[str, set[str]]) -> list[str]:
    """Return a line for each import that goes against the arrows of `ALLOWED` and `ALLOWED_WITHIN`."""
    lines = []
    for module, imported in graph.items():
        if module == "retinue":
            continue
        package, folder = package_of(module), folder_of(module)
        for other in imported:
            upwards = package_of(other) != package and package_of(other) not in ALLOWED.get(package, set(ALLOWED))
            sideways = (
                folder is not None
                and package_of(other) == package
                and folder_of(other) not in (None, folder)
                and folder_of(other) not in ALLOWED_WITHIN[package][folder]
            )
            if upwards or sideways:
                lines.append(f"{module} imports {other}")
    return sorted(lines)


def test_imports_go_one_way_between_packages():
    assert forbidden_imports(GRAPH) == []


def test_no_module_imports_itself_through_others():
    assert find_cycles(GRAPH) == []


def test_every_folder_has_its_arrows():
    for package, folders in ALLOWED_WITHIN.items():
        there = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert there == set(folders)


def test_no_module_is_longer_than_it_may_be():
    too_long = {
        name: lines
        for name, path in MODULES.items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAXIMUM_LINES
    }
    assert too_long == {}


def test_the_tests_mirror_the_library():
    """Every test file named after a module lies in the folder of that module."""
    stems = {}
    for path in MODULES.values():
        stems.setdefault(path.stem, set()).add(path.relative_to(ROOT).parent)
    misplaced = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if len(stems.get(path.stem.removeprefix("test_"), ())) == 1
        and path.relative_to(ROOT / "tests").parent not in stems[path.stem.removeprefix("test_")]
    ]
    assert misplaced == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from retinue.data import split\n", {"retinue.data.split"}),
        ("def f():\n    from retinue.data.split import assign\n", {"retinue.data.split"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from retinue.data import split\n", set()),
        ("import retinue.data.split as s\nimport numpy\n", {"retinue.data.split"}),
    ],
)
def test_imports_are_found(source, expected):
    assert imported_modules(source, {"retinue", "retinue.data", "retinue.data.split"}) == expected


def test_a_forbidden_import_and_a_cycle_are_noticed():
    graph = {"retinue.data.split": {"retinue.tasks.task"}, "retinue.tasks.task": {"retinue.data.split"}}
    assert forbidden_imports(graph) == ["retinue.data.split imports retinue.tasks.task"]
    assert find_cycles(graph) == [{"retinue.data.split", "retinue.tasks.task"}]
    graph = {"retinue.pipeline.runs.run": {"retinue.pipeline.training.train"}, "retinue.pipeline.training.train": set()}
    assert forbidden_imports(graph) == ["retinue.pipeline.runs.run imports retinue.pipeline.training.train"]


def test_the_command_line_starts_without_tensorflow():
    """`retinue --help`, and the import of the package with its public names, load no heavy library."""
    program = (
        "import sys, retinue\n"
        "from retinue.cli import commands\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(commands, ['--help']).exit_code == 0\n"
        "print(sorted({'tensorflow', 'keras', 'cv2', 'openvino', 'matplotlib', 'ray'} & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
