"""The modules of the simulator import in one direction."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import simulator

ROOT = Path(simulator.__file__).parent

#: A module imports its own package and lower layers. `lifecycle` loads the module of a version by its name.
LAYERS = (
    {"__main__", "host"},
    {"process"},
    {"life"},
    {"lifecycle", "control", "http_api", "specification"},
    {"v16", "v201"},
    {"charge_point"},
    {"scenario"},
    {"actions"},
    {"misbehaviour"},
    {"link", "station"},
    {"settings", "configuration"},
    {"clock", "destinations", "log", "together", "versions", "__init__"},
    {"flag", "masking", "plain_json", "turn"},
)


def modules() -> Iterator[tuple[str, set[str]]]:
    """Each module's dotted name below `simulator`, and the modules of the simulator that it imports."""
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name, set(imports(ast.parse(path.read_text())))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("simulator"):
            source = node.module.removeprefix("simulator").lstrip(".")
            for alias in node.names:
                submodule = f"{source}.{alias.name}".lstrip(".")
                is_module = (ROOT / submodule.replace(".", "/")).with_suffix(".py").exists()
                yield submodule if is_module else source


def test_a_module_imports_only_its_own_package_and_lower_layers() -> None:
    layer_of = {package: number for number, layer in enumerate(LAYERS) for package in layer}

    for name, imported in modules():
        package = name.partition(".")[0]
        for other in {each.partition(".")[0] for each in imported} - {package}:
            assert layer_of[other] > layer_of[package], f"{name} imports {other}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    order = tuple(TopologicalSorter(dict(modules())).static_order())

    assert "__main__" in order
