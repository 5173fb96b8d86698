"""Several worker processes on this machine, as one job."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack

from training import values
from training.devices.processes import Process, end, noted_signals, tell


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
    with noted_signals() as received:
        processes = [_start(command, addresses, index) for index in range(workers)]
        try:
            return _wait(processes, received)
        finally:
            end(processes)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


def _start(command: Sequence[str], addresses: list[str], index: int) -> Process:
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return Process(command, f"worker {index}", {"TF_CONFIG": json.dumps(config)})


def _wait(processes: list[Process], received: list[int]) -> int:
    while True:
        if received:
            tell(f"Received {signal.Signals(received[0]).name}: ending all workers.")
            return 128 + received[0]
        statuses = [process.status() for process in processes]
        for index, status in enumerate(statuses):
            if status:
                how = processes[index].how_it_ended()
                tell(f"Worker {index} failed ({how}): ending all workers.")
                return status
        if all(status == 0 for status in statuses):
            return 0
        time.sleep(0.1)
