"""Files that are either the old ones or the new ones, never half of either."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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

    Example:

    ```python
    with replacing("runs/a/samples/grid.png") as temporary:
        image.save(temporary)
    ```
    """
    path = Path(path)
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
    sync_folder(path.parent)


def write_json(path: Path | str, value: Any) -> None:
    """Writes `value` as indented JSON in place of `path`."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def remove_temporaries(folder: Path) -> None:
    """Removes what a killed process left unfinished by `replacing` in `folder`."""
    for leftover in folder.glob(".*.tmp*"):
        leftover.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flushes a folder's entries, without which a rename may be lost in a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
