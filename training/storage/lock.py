"""One process at a time on a run's folder."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType

import filelock

# What a process has in a folder that it holds.
FILES = (".lock", ".holder.json")


class RunLock:
    """Holds a run's folder for this process; a context manager.

    The operating system gives the lock back when the process ends, however it ends,
    so that a killed run leaves nothing behind that must be cleaned up.

    Args:
        folder: the run's folder; it must exist.

    Raises:
        RuntimeError: on entering, if another process holds the folder; it says which.
        ValueError: on entering, if the lock can't be a file there.
    """

    def __init__(self, folder: Path | str):
        self._folder = Path(folder)
        self._path = self._folder / ".lock"
        # Not in the lock's own file, which some versions of filelock empty as they
        # ask for it.
        self._holder = self._folder / ".holder.json"
        self._lock = filelock.FileLock(self._path, timeout=0)

    def __enter__(self) -> RunLock:  # noqa: PYI034 (Self needs Python 3.11)
        if self._path.is_symlink():
            # Opening it would touch a file that may be anybody's.
            raise ValueError(
                f"`run` must be a folder of files. Received: {self._path}, a link"
            )
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise RuntimeError(
                f"The run's folder {self._folder} is in use by another process: "
                f"{self._named_holder()}. Wait until it has ended, or choose another "
                "`--run`."
            ) from None
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        try:
            # A new file: the name may be a link of somebody's.
            self._holder.unlink(missing_ok=True)
            self._holder.write_text(json.dumps(owner), encoding="utf-8")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _named_holder(self) -> str:
        try:
            return json.dumps(json.loads(self._holder.read_bytes()))
        except (OSError, ValueError):
            return "unknown"
