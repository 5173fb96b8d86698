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
