"""The rules that the packages keep, read off their sources."""

from __future__ import annotations

import ast
import pathlib
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
    assert third_party <= {"keras", "numpy", "sn_keras"}


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
