"""Writing a folder whole or not at all.

A folder that is replaced holds a manifest. What that doesn't list, or lists with
another digest, is somebody else's, and nothing here deletes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator

import filelock

from export import manifest

# Of the folder that an export is written to before it takes its place, and of the
# file in it that says whose place that is: a name alone doesn't tell `mnist` from
# `mnist-v2`.
_SUFFIX = ".partial"
_MARK = "written-for"


def check_target(
    path: str | os.PathLike[str], overwrite: bool, name: str = manifest.NAME
) -> pathlib.Path:
    """Refuses a target that holds anything that must not be lost; returns its path.

    What a killed page left in an export that may be replaced is removed.

    Args:
        path: the folder that is to be written.
        overwrite: whether an earlier export there may be replaced.
        name: of the manifest by which an earlier export is known.

    Raises:
        TypeError, ValueError: if `path` is no path.
        FileExistsError: if there is something at `path` and `overwrite` is False, or
            it is no earlier export, holds other or changed files, or can't be moved.
        NotADirectoryError, PermissionError: if nothing can be written there.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"`output` must be a path. Received: output={path!r}")
    if not os.fspath(path):
        raise ValueError(f"`output` must name a folder. Received: output={path!r}")
    path = pathlib.Path(path)
    here = pathlib.Path.cwd()
    if os.path.ismount(path) or path.resolve() in (here, *here.parents):
        # Its contents would land in a folder that nobody sees, or the rename fail.
        raise FileExistsError(
            f"{path} can't be replaced: it is the current folder, holds it, or is the "
            "root of a file system. Choose a folder inside it."
        )
    above = next(one for one in path.absolute().parents if one.exists())
    if not above.is_dir():
        raise NotADirectoryError(
            f"{path} can't be written: {above} is a file, not a folder."
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(f"{path} can't be written: no permission for {above}.")
    if not os.path.lexists(path):
        return path
    empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
    if empty:
        return path
    if not overwrite:
        raise FileExistsError(
            f"{path} exists. Choose another folder, or pass `--overwrite` "
            "(`overwrite=True`) to replace an earlier export."
        )
    if path.is_symlink() or not (path / name).is_file():
        raise FileExistsError(
            f"{path} exists and is no earlier export (it has no {name}), so it is "
            "not overwritten."
        )
    if name == manifest.NAME:
        _clear_up_after_killed(path / manifest.PAGE_FOLDER)
    _check_ours(path, path, name)
    return path


def _check_ours(path: pathlib.Path, shown: pathlib.Path, name: str) -> None:
    """Refuses to replace a folder with files that its manifest doesn't account for."""
    try:
        differ = manifest.changes(path, name)
    except (OSError, ValueError) as error:
        raise FileExistsError(
            f"{shown} is not overwritten, because what in it is an export's can't be "
            f"told. {error}"
        ) from error
    others = sorted(file for file, word in differ.items() if word != "missing")
    if others:
        raise FileExistsError(
            f"{shown} is not overwritten: {', '.join(others)} in it is no part of an "
            "export, or was changed since. Move it elsewhere first."
        )


@contextlib.contextmanager
def replaced(
    path: pathlib.Path,
    overwrite: bool,
    name: str = manifest.NAME,
    report: Callable[[str], None] = lambda line: None,
) -> Iterator[pathlib.Path]:
    """A new folder that takes the place of `path` at the end, if all goes well.

    What a killed export of the same target left is removed first; if it was killed in
    the moment between taking the old folder away and putting the new one there, the
    old one is put back.

    Args:
        path: the folder to write.
        overwrite: whether an earlier export there may be replaced.
        name: of the manifest by which an earlier export is known.
        report: gets a line about what the earlier export had and the new one hasn't.

    Yields:
        A temporary folder beside `path`, so that moving it is one rename.

    Raises:
        OSError: as for `check_target`, and if the disk is full.
    """
    path = pathlib.Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_up_after_killed(path)
    check_target(path, overwrite, name)
    temporary = pathlib.Path(tempfile.mkdtemp(_SUFFIX, f".{path.name}-", path.parent))
    new, old = temporary / "new", temporary / "old"
    with _held(temporary):
        try:
            (temporary / _MARK).write_bytes(os.fsencode(path.name))
            new.mkdir()
            yield new
            check_target(path, overwrite, name)
            gone: list[str] = []
            if path.exists():
                path.rename(old)
                # Once more, now that nothing can be added by that path.
                if any(old.iterdir()):
                    _check_ours(old, path, name)
                left = {one.name for one in new.iterdir()}
                gone = sorted(x.name for x in old.iterdir() if x.name not in left)
            new.rename(path)
            if gone:
                report(f"removed of the earlier export: {', '.join(gone)}")
        except Exception as error:
            if not _is_full(error):
                raise
            raise OSError(
                f"{path} can't be written: the disk is full. What was there is as it "
                f"was. ({error})"
            ) from error
        finally:
            _clear(temporary, path)


def _clear(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Removes a temporary folder, after what it holds of `path` alone is put back."""
    old = temporary / "old"
    # As long as the new folder is there, it has not taken the place of the old one.
    if old.exists() and (temporary / "new").exists():
        if os.path.lexists(path):
            return
        try:
            old.rename(path)
        except OSError:
            return
    shutil.rmtree(temporary, ignore_errors=True)


def _clear_up_after_killed(path: pathlib.Path) -> None:
    pattern = re.compile(rf"\.{re.escape(path.name)}-\w{{8}}{re.escape(_SUFFIX)}")
    for left in path.parent.iterdir():
        if not pattern.fullmatch(left.name) or left.is_symlink():
            continue
        mark = left / _MARK
        # `.mnist-v2-….partial` may be of `mnist-v2`, or anything of the user's.
        if not mark.is_file() or mark.read_bytes() != os.fsencode(path.name):
            continue
        with _held(left) as free:
            if free:  # and not what another process is writing
                _clear(left, path)


def _is_full(error: Exception) -> bool:
    """Whether a disk, or the one with the temporary files, had no space left."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # TensorFlow and a process of its own have no number, a text alone.
    return os.strerror(errno.ENOSPC) in str(error)


@contextlib.contextmanager
def _held(folder: pathlib.Path) -> Iterator[bool]:
    """Locks a folder until the block or the process ends; says whether it could.

    The operating system gives the lock back however the process ends, so that what a
    killed export left can be told from what another one is writing.
    """
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except (filelock.Timeout, OSError):  # held, or no locks on this file system
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
