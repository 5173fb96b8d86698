"""Ctrl-C, SIGTERM and SIGHUP as a wish to stop after the step at hand."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A step may take seconds, and a score that is due after it minutes.
_STOPPING = (
    b"\nStopping after the step at hand, and its score if one is due, with a "
    b"checkpoint. Ctrl-C again stops at once, without.\n"
)


class Interruption:
    """Notes the first signal, and lets a second Ctrl-C stop at once.

    A context manager. Outside the main thread it does nothing: Python hands signals
    to that one alone.

    Attributes:
        signal: the number of the signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """0, or as shells have it: 130, 143 or 129 after Ctrl-C, SIGTERM, SIGHUP."""
        return 0 if self.signal is None else 128 + self.signal

    def __enter__(self) -> Interruption:  # noqa: PYI034 (Self needs Python 3.11)
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note)
                for number in _SIGNALS
                # nohup has SIGHUP ignored.
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
        if number == signal.SIGHUP:
            _leave_terminal()
        elif number == signal.SIGINT:
            with contextlib.suppress(OSError):
                # Not by `print`: it may be what the signal came in the middle of.
                os.write(2, _STOPPING)


def _leave_terminal() -> None:
    """Sends further output nowhere if it goes to a terminal, which is closed.

    The next line of progress would end the run before its checkpoint is written.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        with contextlib.suppress(OSError):  # closed
            if stat.S_ISCHR(os.fstat(output).st_mode):
                os.dup2(nowhere, output)
    os.close(nowhere)
