"""Files that are either the old ones or the new ones, never half of either."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# No space, no quota left, and the limit of a file's size, which shells and batch
# systems set.
_FULL_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large")


class DiskFullError(OSError):
    """A file could not be written for want of space."""


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path whose file takes the place of `path` at the end.

    The file is written beside `path`, flushed to the disk and renamed. If the block
    raises, or the process is killed, `path` is what it was before; after an exception
    the temporary file is removed.

    Args:
        path: the file to write or replace; its folder must exist.

    Yields:
        A path with the same suffix, to write to.

    Raises:
        ValueError: as `check_replaceable`.

    Example:

    ```python
    with replacing("runs/a/samples/grid.png") as temporary:
        keras.utils.save_img(temporary, images[0])
    ```
    """
    path = Path(path)
    check_replaceable(path)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem}-", suffix=f".tmp{path.suffix}"
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner may read.
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def check_replaceable(path: Path | str, argument: str = "path") -> None:
    """Raises if something is there that a file must not take the place of.

    Args:
        path: where a file is to be written.
        argument: what the user calls it.

    Raises:
        ValueError: if it is a folder, a device, a pipe or a link: a rename would put
            a file in its place.
    """
    path = Path(path)
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
            raise ValueError(
                f"`{argument}` must be a regular file, or a new one. Received: {path}, "
                f"{kinds.get(stat.S_IFMT(mode), 'a device or pipe')}"
            )


def check_writable(folder: Path | str, argument: str) -> None:
    """Makes a folder if it is not there, and raises if files can't be written to it.

    Args:
        folder: the folder.
        argument: what the user calls it.

    Raises:
        DiskFullError: if there is no space for it.
        ValueError: if it can't be made or written.
    """
    folder = Path(folder)
    try:
        with full_disk_explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except DiskFullError:
        raise
    except OSError as error:
        raise ValueError(
            f"`{argument}` must be a folder that can be made and written. "
            f"Received: {folder}: {error.strerror}"
        ) from error


def write_json(path: Path | str, value: Any) -> None:
    """Writes `value` as indented JSON in place of `path`."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def remove_temporaries(folder: Path, seconds: float = 0.0) -> None:
    """Removes what a killed process left unfinished by `replacing` in `folder`.

    Args:
        folder: the folder.
        seconds: the age of what is removed, for a folder in which other processes
            may be writing.
    """
    for leftover in folder.glob(".*.tmp*"):
        with contextlib.suppress(FileNotFoundError):
            # A file server's clock may be ahead.
            if not seconds or time.time() - leftover.lstat().st_mtime > seconds:
                leftover.unlink()


def sync(path: Path) -> None:
    """Flushes a file's content to the disk, or a folder's entries.

    Without it what was written, or a rename, may be lost in a power cut.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Raises a `DiskFullError` in place of what a full disk makes a library raise.

    Keras, h5py, NumPy, Pillow and TensorFlow each raise an error of their own.

    Args:
        folder: where the files are, which the message names.
    """
    try:
        yield
    except DiskFullError:
        raise  # it names another folder, which is nearer to what was written
    except Exception as error:
        if not _is_full(error):
            raise
        raise DiskFullError(
            f"The disk with the folder {folder} is full. Nothing that was there "
            "is damaged: files are replaced when they are whole. Free some space, and "
            "the same command carries on from the newest checkpoint."
        ) from error


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL_NUMBERS:
        return True
    # Not all have the number: TensorFlow has a text alone, and Keras' cleaning up
    # after the first error may raise a second one.
    text = "".join(traceback.format_exception(error))
    return any(part in text for part in _FULL_TEXTS)
