"""Workers run as one job: all of them, or none."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from training.devices.launch import launch

SHOW = """
import json, os
config = json.loads(os.environ["TF_CONFIG"])
print(config["task"]["index"], len(set(config["cluster"]["worker"])))
"""
# Worker 1 does what is asked; worker 0 waits to be ended and says so.
WAIT = """
import json, os, signal, sys, time
def end(*_):
    print("checkpoint written", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 1:
    {action}
time.sleep(60)
"""


def command(source):
    return [sys.executable, "-c", source]


def test_each_worker_knows_all_and_its_lines_are_marked(capfd):
    assert launch(command(SHOW), workers=3) == 0
    lines = sorted(capfd.readouterr().out.splitlines())
    assert lines == [f"[worker {i}] {i} 3" for i in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "status", "how"),
    [
        ("sys.exit(3)", 3, "exit status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "ended by SIGKILL"),
    ],
)
def test_one_that_fails_ends_all(capfd, action, status, how):
    start = time.monotonic()
    source = WAIT.replace("{action}", f"time.sleep(1); {action}")
    assert launch(command(source), workers=2) == status
    assert time.monotonic() - start < 30
    printed = capfd.readouterr().out
    assert f"Worker 1 failed ({how})" in printed
    assert "[worker 0] checkpoint written" in printed


def started(source):
    """A process that launches two workers."""
    code = (
        "import sys; from training.devices.launch import launch; "
        f"sys.exit(launch({command(source)!r}, 2))"
    )
    return subprocess.Popen(
        command(code),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all(number):
    job = started(WAIT.replace("{action}", "print('up', flush=True)"))
    assert job.stdout.readline().strip() == "[worker 1] up"
    time.sleep(0.5)
    job.send_signal(number)
    printed, _ = job.communicate(timeout=30)
    assert job.returncode == 128 + number
    assert printed.count("checkpoint written") == 2


def test_workers_do_not_outlive_a_launcher_that_is_killed():
    # Each with a child of its own, and deaf to SIGTERM.
    source = """
import os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""
    job = started(source)
    pids = [int(x) for _ in range(2) for x in job.stdout.readline().split()[2:]]
    assert len(pids) == 4 and all(map(runs, pids))
    job.kill()
    job.wait()
    job.stdout.close()
    deadline = time.monotonic() + 20
    while any(map(runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, pids))


def runs(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] != "Z"


def test_output_that_nobody_reads_any_more_stops_no_worker(tmp_path):
    done = tmp_path / "done"
    source = f"""
import pathlib, time
for _ in range(20_000):
    print("x" * 100)
pathlib.Path({str(done)!r}).touch()
"""
    job = started(source)
    job.stdout.readline()
    job.stdout.close()
    assert job.wait(30) == 0
    assert done.exists()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`workers` must be an integer of 1"):
        launch(["true"], workers=0)
    with pytest.raises(ValueError, match="`command` must name"):
        launch([], workers=2)
