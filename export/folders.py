"""Writing a folder whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

MANIFEST = "export.json"


def check_target(path: pathlib.Path, overwrite: bool, manifest: str = MANIFEST) -> None:
    """Refuses a target that holds anything that must not be lost.

    Args:
        path: the folder that is to be written.
        overwrite: whether an earlier export there may be replaced.
        manifest: the file by which an earlier export is known.

    Raises:
        FileExistsError: if there is something at `path` and `overwrite` is False, or
            it is no earlier export.
    """
    if not os.path.lexists(path):
        return
    empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
    if empty:
        return
    if not overwrite:
        raise FileExistsError(
            f"{path} exists. Choose another folder, or pass `--overwrite` "
            "(`overwrite=True`) to replace an earlier export."
        )
    if path.is_symlink() or not (path / manifest).is_file():
        raise FileExistsError(
            f"{path} exists and is no earlier export (it has no {manifest}), so it is "
            "not overwritten."
        )


@contextlib.contextmanager
def replaced(
    path: pathlib.Path, overwrite: bool, manifest: str = MANIFEST
) -> Iterator[pathlib.Path]:
    """A new folder that takes the place of `path` at the end, if all goes well.

    Args:
        path: the folder to write.
        overwrite: whether an earlier export there may be replaced.
        manifest: the file by which an earlier export is known.

    Yields:
        A temporary folder beside `path`, so that moving it is one rename.
    """
    path = pathlib.Path(os.path.abspath(path))
    check_target(path, overwrite, manifest)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent)
    new = pathlib.Path(temporary, "new")
    old = pathlib.Path(temporary, "old")
    new.mkdir()
    try:
        yield new
        check_target(path, overwrite, manifest)
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
