"""A process that is killed, and what can be seen of it from outside."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import time

_ROOT = pathlib.Path(__file__).resolve().parents[2]
# How long a process may take for anything, on a machine that is busy with other work.
_PATIENCE = 1200.0


class Process:
    """A process whose output goes to a file, and that ends with the block."""

    def __init__(self, command: list[str], path: pathlib.Path):
        self._printed = path.with_suffix(".txt")
        self._stacks = stacks(path)
        self._stacks.unlink(missing_ok=True)
        with self._printed.open("w") as file:
            self.popen = subprocess.Popen(
                command, cwd=_ROOT, stdout=file, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Process:  # noqa: PYI034 (Self needs Python 3.11)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
            self.popen.wait()

    def text(self) -> str:
        """Returns what it has printed."""
        return self._printed.read_text(errors="replace")

    def wait(self, seconds: float = _PATIENCE) -> int | None:
        """Returns the exit status, or None if it still runs after so long."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_for(self, text: str, times: int) -> None:
        """Waits until it has printed a text so often, or has ended."""
        while self.text().count(text) < times and self.wait(0.01) is None:
            pass

    def stack(self) -> str:
        """Returns where it is, as `faulthandler` prints it."""
        if not self._stacks.exists():
            time.sleep(0.001)
            return ""  # not yet listening: the signal would end it
        before = self._stacks.stat().st_size
        self.popen.send_signal(signal.SIGUSR1)
        for _ in range(50):
            with self._stacks.open() as file:
                file.seek(before)
                text = file.read()
            # The outermost frame of `python -m` is printed last.
            if text.endswith("in _run_module_as_main\n"):
                break
            time.sleep(0.0002)
        return text

    def workers(self) -> list[int]:
        """Returns the runs that it started, in their order."""
        task = pathlib.Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        try:
            children = [int(pid) for pid in task.read_text().split()]
            # Beside each worker there is the shell that guards it.
            return [pid for pid in children if b"--run" in _command_line(pid)]
        except OSError:
            return []


def _command_line(pid: int) -> list[bytes]:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def stacks(path: pathlib.Path) -> pathlib.Path:
    """Returns the file that the process of a run's folder writes its stacks to."""
    return path.with_suffix(".stacks")
