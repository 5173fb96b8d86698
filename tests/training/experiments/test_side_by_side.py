"""Runs of an experiment side by side: the same results, and one end for all."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from training.__main__ import main
from training.experiments.shared.side_by_side import Jobs, train_side_by_side
from training.experiments.shared.stopping import StoppedError

# Says what it is given; a run called `bad` fails, one called `long` waits for a signal.
RUN = """
import os, signal, sys, time
def end(*_):
    print("checkpoint written", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
print(*sys.argv[1:], os.environ["TF_NUM_INTRAOP_THREADS"], flush=True)
time.sleep({"bad": 1, "long": 60}.get(sys.argv[-1], 0))
sys.exit(3 * (sys.argv[-1] == "bad"))
"""
COMMAND = (sys.executable, "-c", RUN)


def test_each_run_is_told_its_name_and_its_share_of_the_processors(capfd, monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    train_side_by_side(["a", "b", "c"], Jobs(2, COMMAND))
    lines = sorted(capfd.readouterr().out.splitlines())
    assert lines == sorted(
        [f"[{i}/3] {name}" for i, name in enumerate("abc", 1)]
        + [f"[{name}] --only-run {name} 3" for name in "abc"]
    )


def test_one_that_fails_ends_the_others_and_begins_no_more(capfd):
    with pytest.raises(StoppedError, match=r"bad failed \(exit status 3\)") as caught:
        train_side_by_side(["long", "bad", "a"], Jobs(2, COMMAND))
    assert caught.value.exit_code == 3
    printed = capfd.readouterr().out
    assert "[long] checkpoint written" in printed
    assert "[a]" not in printed and "[3/3]" not in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all(number, capfd):
    timer = threading.Timer(2, os.kill, (os.getpid(), number))
    timer.start()
    with pytest.raises(StoppedError, match=f"{number.name}.* carries on") as caught:
        train_side_by_side(["long", "long"], Jobs(2, COMMAND))
    assert caught.value.exit_code == 128 + number
    assert capfd.readouterr().out.count("[long] checkpoint written") == 2


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_jobs_out_of_range_are_refused_before_anything_is_made(tmp_path, capsys, jobs):
    output = str(tmp_path / "out")
    options = ["--small", "--output", output, "--jobs", jobs]
    assert main(["experiment", "singular-values", *options]) == 1
    assert "`--jobs` must be an integer of 1 or more" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_results_are_those_of_one_after_another(tmp_path):
    # By as many threads: sums are shared out among them, and so are rounded otherwise.
    environment = {
        **os.environ,
        "TF_NUM_INTRAOP_THREADS": "1",
        "PYTHONPATH": os.getcwd(),
    }

    def run(output, *options):
        command = [sys.executable, "-m", "training", "experiment", "spectral-norms"]
        few = "--small --steps 4 --every 2 --methods spectral vanilla".split()
        return subprocess.run(
            [*command, *few, "--output", str(tmp_path / output), *options],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout

    run("alone")
    said = run("beside", "--jobs", "2")
    assert "[spectral-seed0] step 4/4" in said and "[vanilla-seed0] step 4/4" in said
    alone, beside = (
        json.loads((tmp_path / output / "spectral-norms.json").read_text())
        for output in ("alone", "beside")
    )
    assert alone["rows"] and alone == beside
    # Nothing is trained again.
    assert "step 4/4" not in run("beside", "--jobs", "2")
