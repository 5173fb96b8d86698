"""Several worker processes on this machine, as one job."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from training import values

# How long workers get to write a checkpoint after SIGTERM before they are killed.
_GRACE_SECONDS = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Waits until its input ends, which it does without a line when whoever holds the other
# end is killed. Nobody is there then to print what workers say, so that they could not
# be left to write a checkpoint.
_GUARD = 'read -r line || for pid in "$@"; do kill -KILL "-$pid"; done'


def launch(command: Sequence[str], workers: int) -> int:
    """Runs `command` in `workers` processes that form a cluster, and waits.

    Each process gets a TF_CONFIG that names all workers, at free ports of this
    machine, and its own index. Its output is printed with the worker's index before
    each line. If one fails, or this process gets SIGINT, SIGTERM or SIGHUP, all are
    terminated: with SIGTERM first, and killed a minute later. If this process is
    killed, all are killed at once, with what they have started.

    Args:
        command: program and arguments, the same for all.
        workers: number of processes, 1 or more.

    Returns:
        0 if all returned 0; else the exit status of the first that failed (128 plus
        the signal, if one ended it); 130 after Ctrl-C, 143 after SIGTERM, 129 after
        SIGHUP.

    Raises:
        TypeError: if the command is one text, or `workers` no integer.
        ValueError: if `workers` is below 1 or there is no command.
    """
    workers = values.integer("workers", workers)
    if isinstance(command, str):
        raise TypeError(
            "`command` must be a program and its arguments, one by one. "
            f"Received: command={command!r}"
        )
    if not command:
        raise ValueError("`command` must name what the workers run. Received none.")
    addresses = [f"localhost:{port}" for port in _free_ports(workers)]
    asked: list[int] = []
    with ExitStack() as stack:
        for number in _SIGNALS:
            if signal.getsignal(number) == signal.SIG_IGN:
                continue  # as nohup has it
            old = signal.signal(number, lambda received, _: asked.append(received))
            stack.callback(signal.signal, number, old)
        processes = [_start(command, addresses, index) for index in range(workers)]
        stack.enter_context(_guard(processes))
        readers = [_forward(process, i) for i, process in enumerate(processes)]
        try:
            status = _wait(processes, asked)
        finally:
            _end(processes)
            for reader in readers:
                reader.join()
    return status


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


def _start(
    command: Sequence[str], addresses: list[str], index: int
) -> subprocess.Popen[str]:
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return subprocess.Popen(
        list(command),
        env={**os.environ, "TF_CONFIG": json.dumps(config), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Ctrl-C reaches a terminal's whole process group. The workers must get one
        # signal, from here, or the second would end them in mid-checkpoint.
        start_new_session=True,
    )


@contextlib.contextmanager
def _guard(processes: list[subprocess.Popen[str]]) -> Iterator[None]:
    """Kills the processes' groups when this process ends in the block."""
    pids = [str(process.pid) for process in processes]
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", *pids],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.communicate(b"done\n")


def _forward(process: subprocess.Popen[str], index: int) -> threading.Thread:
    def copy() -> None:
        if process.stdout is None:
            return
        with process.stdout:
            for line in process.stdout:
                # A line in one write: workers' lines don't mix.
                _print(f"[worker {index}] {line.rstrip()}")

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    return thread


def _wait(processes: list[subprocess.Popen[str]], asked: list[int]) -> int:
    while True:
        if asked:
            _print(f"Received {signal.Signals(asked[0]).name}: ending all workers.")
            return 128 + asked[0]
        statuses = [process.poll() for process in processes]
        for index, status in enumerate(statuses):
            if status is not None and status != 0:
                code = status if status > 0 else 128 - status
                how = f"exit status {status}" if status > 0 else _signal_name(status)
                _print(f"Worker {index} failed ({how}): ending all workers.")
                return code
        if all(status == 0 for status in statuses):
            return 0
        time.sleep(0.1)


def _print(line: str) -> None:
    # The terminal may be closed. Who stopped reading the workers' lines then would
    # stop the workers, at the first line that has no room any more.
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _signal_name(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}"


def _end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
