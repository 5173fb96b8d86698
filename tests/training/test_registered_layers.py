"""A generator's file names layers of sn_keras: whoever loads one has to import it."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LOADS = re.compile(r"saving\.load_model\((?!\")")
LOADING = [
    path
    for path in sorted((ROOT / "training").rglob("*.py"))
    if LOADS.search(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("path", LOADING, ids=lambda path: path.stem)
def test_what_loads_a_model_registers_the_layers(path):
    text = path.read_text(encoding="utf-8")
    assert re.search(r"^ *(import sn_keras|from sn_keras)", text, re.M)


def test_these_are_found():
    assert {"generators", "sample"} <= {path.stem for path in LOADING}
