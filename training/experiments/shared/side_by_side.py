"""Several runs of an experiment at a time, each in a process of its own."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections import deque
from collections.abc import Sequence

from training import values
from training.devices.processes import Process, end, noted_signals, tell
from training.experiments.shared.stopping import StoppedError

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclasses.dataclass(frozen=True)
class Jobs:
    """How many runs of an experiment train at a time.

    Attributes:
        count: `--jobs`, 1 or more. 1: in this process, one after another.
        command: the experiment's, program and arguments.
        only: in one of the processes: the run that it trains, and nothing else.
    """

    count: int = 1
    command: Sequence[str] = ()
    only: str | None = None

    def __post_init__(self) -> None:
        values.integer("jobs", self.count)


def train_side_by_side(names: Sequence[str], jobs: Jobs) -> None:
    """Trains runs by name, `jobs.count` at a time, each by the same command.

    The processors are shared out among the processes, unless TF_NUM_INTRAOP_THREADS
    says how many threads each takes. If one fails or a signal comes,
    all write a checkpoint and end; see `training.devices.processes` for the rest.

    Raises:
        StoppedError: if one failed, or a signal came.
    """
    threads = str(max(1, (os.cpu_count() or 1) // jobs.count))
    share = {name: os.environ.get(name, threads) for name in _THREADS}
    waiting = deque(enumerate(names, 1))
    running: list[Process] = []
    with noted_signals() as received:
        try:
            while waiting or running:
                while waiting and len(running) < jobs.count:
                    number, name = waiting.popleft()
                    tell(f"[{number}/{len(names)}] {name}")
                    running.append(
                        Process([*jobs.command, "--only-run", name], name, share)
                    )
                time.sleep(0.1)
                if received:
                    name = signal.Signals(received[0]).name
                    message = f"Stopped by {name}. The same command carries on."
                    raise StoppedError(message, 128 + received[0])
                for process in [one for one in running if one.status() is not None]:
                    if code := process.status():
                        message = f"{process.label} failed ({process.how_it_ended()})."
                        raise StoppedError(message, code)
                    end([process])
                    running.remove(process)
        finally:
            end(running)
