"""Keeping TensorFlow's own messages out of ours."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back what C++ code writes to standard error, and warnings.

    TensorFlow logs lines when it is imported, and its converter dozens on each call,
    whatever the log level is. Nothing in them is for the user; an exception says what
    went wrong.
    """
    try:
        sys.stderr.flush()
        descriptor = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no standard error to hold back
        yield
        return
    with tempfile.TemporaryFile() as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(descriptor, 2)
            os.close(descriptor)
