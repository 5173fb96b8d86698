"""`python -m training`, which also writes its stack to a file when it gets SIGUSR1.

`python -m benchmarks.killing.worker FILE fit …`. The training code is as it always is;
the stack tells `benchmarks.commands.faults` where a kill hits.
"""

from __future__ import annotations

import faulthandler
import pathlib
import signal
import sys


def main() -> int:
    """Runs the command after the file's name."""
    # Written by a signal handler in C: at any moment, inside TensorFlow too.
    path = pathlib.Path(sys.argv[1])
    unready = path.with_suffix(".unready")
    stacks = unready.open("w")
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=False)
    # Its name says that it listens: before, the signal would end it.
    unready.replace(path)
    from training.__main__ import main as train

    return train(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
