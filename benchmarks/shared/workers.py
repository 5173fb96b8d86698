"""Starts worker processes and asks them; see `benchmarks.peer_workers`."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import subprocess
import threading
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_LAST_LINES = 12


class WorkerError(RuntimeError):
    """A worker process ended, or answered with an error."""


class Worker:
    """A process that runs one module of `benchmarks.peer_workers`.

    Use it in a `with` statement: the process ends with it.

    Args:
        name: what to call it in messages.
        python: the interpreter of its environment.
        module: the module's name within `benchmarks.peer_workers`.
        threads: threads that its libraries may use.

    Raises:
        WorkerError: by any request, with the last lines of what it printed.
    """

    def __init__(self, name: str, python: pathlib.Path, module: str, threads: int):
        self.name = name
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "KERAS_BACKEND": "tensorflow",
            "OMP_NUM_THREADS": str(threads),
        }
        self._process = subprocess.Popen(
            [str(python), "-m", f"benchmarks.peer_workers.{module}"],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._printed: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
        # Read all along: a process whose pipe is full stands still.
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Sends a request and returns its result.

        Args:
            do: the method's name.
            **arguments: its arguments, as JSON can hold them.

        Raises:
            WorkerError: if it fails there, or the process has ended.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise WorkerError(f"{self.name} has no pipes")
        try:
            stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass
        line = stdout.readline()
        if not line:
            self._process.wait()
            self._reader.join(timeout=5)
            raise WorkerError(f"{self.name} ended:\n" + "".join(self._printed))
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.name}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=5)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Worker:  # noqa: PYI034 (Self needs Python 3.11)
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _read_errors(self) -> None:
        for line in self._process.stderr or ():
            self._printed.append(line)
