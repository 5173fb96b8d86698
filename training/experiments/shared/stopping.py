"""The end of an experiment before its result."""


class StoppedError(RuntimeError):
    """An experiment ended before its result; the same command carries on.

    Attributes:
        exit_code: as shells have it: 130 after Ctrl-C, 143 after SIGTERM; that of a run
            that failed in a process of its own; 0 where such a process is done.
    """

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code
