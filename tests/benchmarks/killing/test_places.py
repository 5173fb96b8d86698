"""Every row that says where a kill hit names a file and functions that exist."""

import ast
import importlib.util
import pathlib

import pytest

from benchmarks.killing import places

ROOT = pathlib.Path(__file__).resolve().parents[3]


def files(part):
    """The files of ours, of TensorFlow and of Keras whose paths have the part."""
    roots = [ROOT / "training"]
    if not part.startswith("training/"):
        # Found without an import, which takes seconds.
        specs = [importlib.util.find_spec(name) for name in ("tensorflow", "keras")]
        roots = [pathlib.Path(spec.origin).parent for spec in specs]
    return [file for root in roots for file in root.rglob("*.py") if part in str(file)]


def functions(file):
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


@pytest.mark.slow
@pytest.mark.parametrize(("part", "named", "place"), places._PLACES)
def test_a_row_names_what_exists(part, named, place):
    found = files(part)
    assert found
    if named is not None:
        assert named <= set().union(*map(functions, found))


def test_the_innermost_frame_that_is_listed_decides():
    stack = (
        "Current thread 0x1 (most recent call first):\n"
        '  File "/x/numpy/lib/npyio.py", line 1 in savez\n'
        '  File "/x/training/storage/checkpoints.py", line 2 in _write\n'
        '  File "/x/training/runs/callbacks/saving.py", line 3 in _write\n'
    )
    assert places.place(stack) == "checkpoint"
    assert places.place("") == places.START
