"""The rules that the packages keep, read off their sources."""

from __future__ import annotations

import ast
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
OURS = {"sn_keras", "training", "export", "benchmarks", "tests"}
ALLOWED = {
    "sn_keras": {"sn_keras"},
    "training": {"training", "sn_keras"},
    "export": {"export", "sn_keras"},
}
LIBRARY = [
    path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))
]


def package_of(path):
    return path.relative_to(ROOT).parts[0]


def top_level_imports(tree):
    """The first component of everything that a module imports, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_imports_run_one_way(path):
    package = package_of(path)
    imported = set(top_level_imports(parse(path))) & OURS
    assert imported <= ALLOWED[package]


@pytest.mark.parametrize(
    "path", [path for path in LIBRARY if package_of(path) == "sn_keras"], ids=name
)
def test_sn_keras_needs_keras_and_numpy_alone(path):
    third_party = {
        module
        for module in top_level_imports(parse(path))
        if module not in sys.stdlib_module_names
    }
    # Keras itself requires h5py.
    assert third_party <= {"keras", "numpy", "h5py", "sn_keras"}


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_library_code_raises_and_never_asserts(path):
    # `python -O` drops assert statements, and their errors don't say what was received.
    lines = [
        node.lineno for node in ast.walk(parse(path)) if isinstance(node, ast.Assert)
    ]
    assert not lines


def test_relative_imports_stay_inside_their_package():
    for path in LIBRARY:
        depth = len(path.relative_to(ROOT).parts) - 1
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= depth, name(path)


# The house: who may know whom, and where a stranger looks.

PACKAGES = ("sn_keras", "training", "export", "benchmarks")
SOURCES = [
    path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
]

# From the ground up: a folder or file of `training` imports what stands before it.
FLOORS = (
    ("keras_private", "quiet", "tables", "terminal", "values", "versions"),
    ("arguments", "averaging", "deferred", "memory"),
    ("devices", "storage"),
    ("fast",),
    ("gan",),
    ("normalizers",),
    ("networks",),
    ("data",),
    ("evaluation",),
    ("runs",),
    ("experiments",),
    ("commands",),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Modules of one name in one package, where they are one thing in two forms.
TWINS = {
    # A command, and what it does; a score as a function, and as a metric that streams;
    # what a network, a normalizer and a feature extractor is.
    "training": {
        *("classifier", "compare", "fit", "launch"),
        *("frechet_distance", "inception_score", "base"),
    },
    "export": {"benchmark", "discriminator", "generator", "verify", "web"},
    "benchmarks": set(),
    "sn_keras": set(),
}

PRIVATE_KERAS = re.compile(
    r"\b_(flatten_layers|inbound_nodes|keras_history|call_signature|remat_mode"
    r"|model_variables_moving_average)\b"
)


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


def imported_modules(path):
    """Those of our modules that a module imports, under TYPE_CHECKING too."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # `from package import module`, or a name of the module itself.
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [one if one in MODULES else node.module for one in full]
        else:
            continue
        yield from (one for one in names if one in MODULES)


IMPORTS = {name: set(imported_modules(path)) - {name} for name, path in MODULES.items()}


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: set(known) for name, known in IMPORTS.items()}
    # What imports nothing that is left is in no circle.
    while free := [name for name, known in graph.items() if not known]:
        for name in free:
            del graph[name]
        for known in graph.values():
            known.difference_update(free)
    assert not graph


def test_nothing_in_training_imports_from_a_floor_above():
    def room(module):
        return module.split(".")[1]

    upwards = [
        f"{name} imports {other}"
        for name, known in IMPORTS.items()
        for other in known
        if name.startswith("training.") and other.startswith("training.")
        if room(name) != room(other) and FLOOR[room(other)] >= FLOOR[room(name)]
    ]
    assert not upwards


@pytest.mark.parametrize("package", PACKAGES)
def test_one_file_name_is_one_thing(package):
    names = [p.stem for p in SOURCES if package_of(p) == package]
    twice = {one for one in names if names.count(one) > 1}
    assert twice - {"__init__", "__main__"} <= TWINS[package]


def test_few_files_stand_at_the_root_of_training():
    assert len(list((ROOT / "training").glob("*.py"))) <= 12


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_private_keras_stands_in_one_file_a_package(path):
    if path.stem != "keras_private":
        found = PRIVATE_KERAS.findall(path.read_text(encoding="utf-8"))
        assert not found
