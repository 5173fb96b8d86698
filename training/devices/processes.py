"""Processes of ours on this machine: started, heard, and ended with this one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

# How long processes get to write a checkpoint after SIGTERM before they are killed.
_GRACE_SECONDS = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Waits until its input ends, which it does without a line when whoever holds the other
# end is killed. Nobody is there then to print what the process says, so that it could
# not be left to write a checkpoint.
_GUARD = 'read -r line || kill -KILL "-$1"'


@contextlib.contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Notes Ctrl-C, SIGTERM and SIGHUP in a list, in place of what they would do."""
    received: list[int] = []
    with ExitStack() as stack:
        for number in _SIGNALS:
            if signal.getsignal(number) == signal.SIG_IGN:
                continue  # as nohup has it
            old = signal.signal(number, lambda number, _: received.append(number))
            stack.callback(signal.signal, number, old)
        yield received


class Process:
    """A program in a process group of its own, whose lines are printed with a label.

    Ctrl-C reaches a terminal's whole process group. The program must get one signal,
    from `end`, or the second would end it in mid-checkpoint. If this process is killed,
    so is the program, at once and with what it has started.

    Args:
        command: program and arguments.
        label: stands in brackets before each line.
        environment: variables beside those of this process.
    """

    def __init__(
        self, command: Sequence[str], label: str, environment: Mapping[str, str]
    ):
        self.label = label
        self._process = subprocess.Popen(
            list(command),
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._forward, daemon=True)
        self._reader.start()

    def status(self) -> int | None:
        """Returns the exit status, 128 plus the signal that ended it; None: it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def how_it_ended(self) -> str:
        """Returns `exit status 2` or `ended by SIGKILL`."""
        code = self._process.returncode
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"exit status {code}"

    def _forward(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout:
            for line in self._process.stdout:
                # A line in one write: the processes' lines don't mix.
                tell(f"[{self.label}] {line.rstrip()}")

    def terminate(self) -> None:
        """Sends SIGTERM if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()

    def close(self, deadline: float) -> None:
        """Waits for its end, by force at a time of `time.monotonic`."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._guard.communicate(b"done\n")
        self._reader.join()


def end(processes: Sequence[Process]) -> None:
    """Ends those that run: SIGTERM first, and killed a minute later."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        process.close(deadline)


def tell(line: str) -> None:
    """Prints a line, if anybody reads it.

    The terminal may be closed. Who stopped reading the processes' lines then would stop
    them, at the first line that has no room any more.
    """
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
