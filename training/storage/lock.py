"""One process at a time on a run's folder."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType


class RunLock:
    """Holds a run's folder for this process; a context manager.

    The operating system gives the lock back when the process ends, however it ends,
    so that a killed run leaves nothing behind that must be cleaned up.

    Args:
        folder: the run's folder; it must exist.

    Raises:
        RuntimeError: on entering, if another process holds the folder; it says which.
    """

    def __init__(self, folder: Path | str):
        self.path = Path(folder) / ".lock"

    def __enter__(self) -> RunLock:  # noqa: PYI034 (Self needs Python 3.11)
        self._file = self.path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise RuntimeError(
                f"The run's folder {self.path.parent} is in use by another process: "
                f"{holder}. Wait until it has ended, or choose another `--run`."
            ) from None
        self._file.truncate(0)
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        self._file.write(json.dumps(owner))
        self._file.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.truncate(0)
        self._file.close()
