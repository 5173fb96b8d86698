"""`faults`: kills a run over and over and compares it with an undisturbed one.

A small run on real digits is killed by SIGKILL, started again with the same command,
killed again, and at last left to finish. Its folder has to be that of a run that was
never killed, bit for bit but for times. Some kills fall at random times, others as soon
as the process is seen at a certain place: writing a checkpoint, in a step, and so on.

With `--workers`, one of several worker processes is killed at a random time. The others
have to end by themselves, and the job has to say why.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
from typing import Any

from benchmarks.killing.places import place
from benchmarks.killing.process import Process, stacks
from benchmarks.shared import tables
from training.storage.differences import differences

_RUN = (
    "fit --preset mnist-demo --width-multiplier 0.02 --batch-size 4 --setting C "
    "--discriminator-steps 2 --ema 0.9 --synchronized true --samples 4 --log-every 2 "
    "--sample-every 5 --checkpoint-every 5 --keep 2"
).split()
# One kill in this many falls at a random time, the others at these places in turns.
_AIMS = (
    "any",
    "checkpoint",
    "step",
    "TensorBoard",
    "generator file",
    "any",
    "samples",
    "metrics",
    "restoring",
    "data",
)
_ENDED_BY_SIGKILL = 137


@dataclasses.dataclass(frozen=True)
class Kill:
    """A kill, and where it hit.

    Attributes:
        run: which run, from 0.
        aim: the place that was waited for, or `"any"`.
        place: where the process was.
        seconds: how long it had lived.
        shown: the last line of progress that it had printed.
    """

    run: int
    aim: str
    place: str
    seconds: float
    shown: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    parser.add_argument("--kills", type=int, default=50, help="default: 50")
    parser.add_argument(
        "--kills-per-run",
        type=int,
        default=5,
        help="kills before a run is left to finish (default: 5)",
    )
    parser.add_argument("--steps", type=int, default=120, help="default: 120")
    parser.add_argument("--seed", type=int, default=0, help="of the times (default: 0)")
    parser.add_argument(
        "--workers", type=int, default=1, help="worker processes (default: 1)"
    )
    parser.add_argument(
        "--folder", type=pathlib.Path, help="where the runs go (default: a new one)"
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command.

    Args:
        arguments: those of `add_arguments`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return _soak(arguments, folder)


def _soak(arguments: argparse.Namespace, folder: pathlib.Path) -> dict[str, Any]:
    job = _Job(arguments.steps, arguments.workers, arguments.kills_per_run)
    seconds = job.finish(folder / "undisturbed")
    print(f"undisturbed: {seconds:.1f} s", flush=True)
    draw = random.Random(arguments.seed)
    kills: list[Kill] = []
    runs: list[dict[str, Any]] = []
    while len(kills) < arguments.kills:
        path = folder / f"run-{len(runs)}"
        left = min(arguments.kills_per_run, arguments.kills - len(kills))
        for _ in range(left):
            aim = _AIMS[len(kills) % len(_AIMS)] if arguments.workers == 1 else "any"
            started = time.monotonic()
            kill = job.kill(path, len(runs), aim, draw, seconds)
            if kill is None:
                # It was done before the moment came. A machine that was busy with
                # other work at first would make all moments too late.
                if all(one.run != len(runs) for one in kills):
                    seconds = min(seconds, time.monotonic() - started)
                break
            kills.append(kill)
            print(
                f"kill {len(kills):3}  run {kill.run:2}  {kill.seconds:5.1f} s  "
                f"aim: {kill.aim:14}  hit: {kill.place:22}  {kill.shown}",
                flush=True,
            )
        job.finish(path)
        found = differences(folder / "undisturbed", path)
        count = sum(kill.run == len(runs) for kill in kills)
        runs.append({"kills": count, "differences": found})
        print(f"run {len(runs) - 1}: {count} kills, {found or 'equal'}", flush=True)
    return _report(kills, runs)


def _report(kills: list[Kill], runs: list[dict[str, Any]]) -> dict[str, Any]:
    hits = collections.Counter(kill.place for kill in kills)
    tables.show("where the kills hit", ["place", "kills"], hits.most_common())
    equal = sum(one["kills"] for one in runs if not one["differences"])
    print(
        f"{equal} of {len(kills)} kills in runs that ended equal to the undisturbed "
        f"one ({sum(not one['differences'] for one in runs)} of {len(runs)} runs)"
    )
    return {
        "kills": [dataclasses.asdict(kill) for kill in kills],
        "runs": runs,
        "equal": equal,
    }


class _Job:
    """The command that is killed and started again."""

    def __init__(self, steps: int, workers: int, kills: int):
        self._fit = [*_RUN, "--steps", str(steps)]
        self._workers = workers
        # Two steps a line. As many as all kills of a run leave room for.
        self._lines = max(1, steps // (2 * kills))

    def finish(self, path: pathlib.Path) -> float:
        """Runs until the end and returns the seconds that it took."""
        start = time.monotonic()
        with Process(self._command(path), path) as process:
            code = process.wait()
            if code != 0:
                raise RuntimeError(f"{path.name} ended with {code}:\n{process.text()}")
        return time.monotonic() - start

    def kill(
        self,
        path: pathlib.Path,
        run: int,
        aim: str,
        draw: random.Random,
        seconds: float,
    ) -> Kill | None:
        """Starts the command and kills it; None if it ended before.

        Args:
            path: the run's folder.
            run: its number.
            aim: a place to wait for, or `"any"` for a random time.
            draw: draws the times.
            seconds: how long the whole run takes.
        """
        with Process(self._command(path), path) as process:
            start = time.monotonic()
            if aim == "any":
                process.wait(draw.uniform(0, 0.8 * seconds))
            elif aim not in ("restoring", "data"):
                # So that not each process is killed at its first checkpoint.
                process.wait_for("images/s", draw.randint(1, self._lines))
            hit = self._strike(process, aim, draw)
            if hit is None:
                return None
            alive = time.monotonic() - start
            shown = [x for x in process.text().splitlines() if "step " in x]
            return Kill(run, aim, hit, round(alive, 2), (shown or [""])[-1].strip())

    def _strike(self, process: Process, aim: str, draw: random.Random) -> str | None:
        if self._workers > 1:
            return self._strike_worker(process, draw)
        while process.wait(0) is None:
            hit = place(process.stack())
            if aim in ("any", hit):
                process.popen.kill()
                code = process.wait()
                if code == 0:
                    return None  # done in the moment before
                if code != -signal.SIGKILL:
                    raise RuntimeError(f"Ended with {code}:\n{process.text()}")
                return hit
        return None

    def _strike_worker(self, process: Process, draw: random.Random) -> str | None:
        while len(workers := process.workers()) < self._workers:
            if process.wait(0.01) is not None:
                return None
        index = draw.randrange(self._workers)
        os.kill(workers[index], signal.SIGKILL)
        code = process.wait()
        if code == 0:
            return None  # the worker had done its part in the moment before
        message = f"Worker {index} failed (ended by SIGKILL): ending all workers."
        text = process.text()
        told = message in text and "Graph execution error" not in text
        if code != _ENDED_BY_SIGKILL or not told:
            raise RuntimeError(f"Ended with {code}:\n{process.text()}")
        return f"worker {index}"

    def _command(self, path: pathlib.Path) -> list[str]:
        fit = [*self._fit, "--run", str(path)]
        if self._workers > 1:
            launch = ["launch", "--workers", str(self._workers), "--"]
            return [sys.executable, "-m", "training", *launch, *fit]
        file = str(stacks(path))
        return [sys.executable, "-m", "benchmarks.killing.worker", file, *fit]
