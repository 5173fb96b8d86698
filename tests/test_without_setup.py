"""The commands under a Python that has nothing installed."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("command", "way_out"),
    [
        (["training", "sample", "runs/a"], "`make setup`"),
        (["training", "experiment", "time"], "`make setup`"),
        (["export", "runs/a", "--output", "exported"], "`make setup`"),
        (["export", "benchmark", "exported"], "`make setup`"),
        (["benchmarks", "step"], "`make setup-dev`"),
        (["benchmarks", "input"], "`make setup-dev`"),
    ],
)
def test_a_command_says_how_to_get_what_is_missing(command, way_out):
    # -S: without site-packages. -E: whatever PYTHONPATH holds.
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: No module named ")
    assert way_out in done.stderr
    assert "Traceback" not in done.stderr
