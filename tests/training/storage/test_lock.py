"""A run's folder belongs to one process, and to nobody once that was killed."""

import os
import signal
import subprocess
import sys

import pytest

from training.storage.lock import RunLock

HOLD = """
import sys, time
from training.storage.lock import RunLock
with RunLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_process_is_told_who_holds_it(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RuntimeError, match=f'in use.*"pid": {holder.pid}'):
            RunLock(tmp_path).__enter__()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with RunLock(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_it_can_be_taken_again(tmp_path):
    for _ in range(2):
        with RunLock(tmp_path):
            pass


def test_a_lock_that_is_a_link_is_refused_and_its_target_left(tmp_path):
    target, run = tmp_path / "thesis.tex", tmp_path / "run"
    target.write_text("precious")
    run.mkdir()
    (run / ".lock").symlink_to(target)
    with pytest.raises(ValueError, match=r"`run` must be.*\.lock, a link"):
        RunLock(run).__enter__()
    assert target.read_text() == "precious"


def test_a_refusal_leaves_what_the_holder_wrote(tmp_path):
    with RunLock(tmp_path):
        before = (tmp_path / ".holder.json").read_bytes()
        for _ in range(2):
            with pytest.raises(RuntimeError, match=f'"pid": {os.getpid()}'):
                RunLock(tmp_path).__enter__()
        assert (tmp_path / ".holder.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
