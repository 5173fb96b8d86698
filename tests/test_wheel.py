"""The wheel, installed alone into a clean environment, as a user gets it."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
OLDEST = "3.12.0"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="once is enough"
    ),
]

USER = """
import keras
from sn_keras import SpectralNormalization

wrapped: keras.layers.Layer = SpectralNormalization(keras.layers.Dense(3))
wrong = SpectralNormalization(keras.layers.Dense(3), power_iterations="two")
"""


def run(*command, **options):
    process = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    return process.returncode, process.stdout + process.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    code, output = run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder),
        ROOT,
    )
    assert code == 0, output
    (found,) = folder.glob("*.whl")
    return found


def test_it_holds_sn_keras_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sn_keras"}
    assert "sn_keras/py.typed" in names


def test_it_works_alone_with_the_oldest_and_the_newest_keras(wheel, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    assert run(sys.executable, "-m", "venv", tmp_path / "venv")[0] == 0
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    snippet = "".join(snippets[:2])
    install = [python, "-m", "pip", "install", "--quiet"]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": ""}
    for keras_version in (f"keras=={OLDEST}", "keras"):
        packages = ("--upgrade", f"{wheel}[jax]", keras_version)
        code, output = run(*install, *packages, env=environment)
        assert code == 0, output
        code, output = run(python, "-c", snippet, cwd=tmp_path, env=environment)
        assert code == 0, output

    user = tmp_path / "user.py"
    user.write_text(USER)
    code, output = run(
        *(sys.executable, "-m", "mypy", "--ignore-missing-imports"),
        *("--python-executable", python, user),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
    )
    errors = [line for line in output.splitlines() if ": error:" in line]
    assert len(errors) == 1, output
    assert "user.py:6" in errors[0] and '"power_iterations"' in errors[0], output
