"""A disk that is full, said in a way that tells what is lost: nothing."""

from __future__ import annotations

import contextlib
import errno
import traceback
from collections.abc import Iterator
from pathlib import Path

# No space, no quota left, and the limit of a file's size, which shells and batch
# systems set.
_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large")


class DiskFullError(OSError):
    """A file could not be written for want of space."""


@contextlib.contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Raises a `DiskFullError` in place of what a full disk makes a library raise.

    Keras, h5py, NumPy, Pillow and TensorFlow each raise an error of their own.

    Args:
        folder: the run's folder, which the message names.
    """
    try:
        yield
    except Exception as error:
        if not _is_full(error):
            raise
        raise DiskFullError(
            f"The disk with the run's folder {folder} is full. Nothing that was there "
            "is damaged: files are replaced when they are whole. Free some space, and "
            "the same command carries on from the newest checkpoint."
        ) from error


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return True
    # Not all have the number: TensorFlow has a text alone, and Keras' cleaning up
    # after the first error may raise a second one.
    text = "".join(traceback.format_exception(error))
    return any(part in text for part in _TEXTS)
