"""Exported files do the same in runtimes of another version: `make test-runtimes`."""

from __future__ import annotations

import os
import subprocess

import pytest

import export
from export.formats.names import PRECISIONS
from export.verification import isolation, stored
from tests.export import makes

PYTHON = os.environ.get("RUNTIMES_PYTHON")

pytestmark = pytest.mark.skipif(PYTHON is None, reason="`make test-runtimes` runs it")


@pytest.mark.parametrize("name", ["SAGAN", "odd convolutions", "labels embedded"])
def test_files_do_what_keras_did(name, tmp_path, monkeypatch):
    export.export_generator(
        makes.make(name),
        tmp_path / "out",
        formats=["saved_model", "litert", "onnx"],
        precisions=PRECISIONS,
        batch_sizes=[1, 4],
        min_psnr=20,
    )
    command = [PYTHON, "-c", "import tensorflow; print(tensorflow.__version__)"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert found.startswith("2.15.")
    monkeypatch.setattr(isolation, "PYTHON", PYTHON)
    differences = stored.verify(tmp_path / "out")
    assert [one.passed for one in differences] == [True] * 7
    assert min(one.psnr for one in differences if one.precision == "float32") > 100
