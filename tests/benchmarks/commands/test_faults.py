"""A small soak: killed runs end as one that was never killed, bit for bit."""

import json

import pytest

from benchmarks import __main__
from benchmarks.killing import places


def soak(tmp_path, *arguments):
    file = tmp_path / "result.json"
    folder = ["--folder", str(tmp_path / "runs"), "--json", str(file)]
    __main__.main(["faults", *folder, *arguments])
    return json.loads(file.read_text())


@pytest.mark.slow
def test_killed_runs_end_equal(tmp_path, capsys):
    result = soak(tmp_path, "--kills", "2", "--kills-per-run", "2", "--steps", "20")
    assert result["equal"] == len(result["kills"]) == 2
    assert all(run["differences"] == [] for run in result["runs"])
    known = {*places.PLACES, places.START}
    assert {kill["place"] for kill in result["kills"]} <= known
    assert "2 of 2 kills" in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_worker_ends_the_job_which_carries_on(tmp_path):
    result = soak(tmp_path, "--workers", "2", "--kills", "1", "--steps", "20")
    assert result["equal"] == len(result["kills"]) == 1
    assert result["kills"][0]["place"] in ("worker 0", "worker 1")
