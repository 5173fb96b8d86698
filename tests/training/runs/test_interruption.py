"""A terminal that is closed: the run hears of it and can still write."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

RUN = """
import sys, time
from training.runs.interruption import Interruption
from training.terminal import ProgressLine

with Interruption() as interruption:
    for step in range(1000):
        ProgressLine().show(f"step {step}")
        if interruption.signal is not None:
            print("Stopped", flush=True)
            open(sys.argv[1], "w").write(str(interruption.exit_code))
            sys.exit(interruption.exit_code)
        time.sleep(0.02)
"""


@pytest.mark.slow
def test_a_terminal_that_is_closed(tmp_path):
    file = tmp_path / "checkpoint"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", RUN, str(file)])
    assert os.read(terminal, 4)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert file.read_text() == "129"


def test_ctrl_c_is_answered_at_once(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "file")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    run.stdout.readline()
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130 and said.count(b"Stopping after the step") == 1


def test_what_nohup_ignores_stays_ignored(tmp_path):
    job = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "file")],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    job.stdout.readline()
    job.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert job.poll() is None
    job.terminate()
    job.communicate()
    assert job.returncode == 143
