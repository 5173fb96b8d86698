"""Writing a folder whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import fnmatch
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from export import manifests

# Of the folder that an export is written to before it takes its place.
_SUFFIX = ".partial"

# What an earlier export or page consists of: nothing else is deleted with it.
_WRITTEN = (
    manifests.NAME,
    "saved_model",
    "generator.onnx",
    "generator-*.tflite",
    "web",
    f".web-*{_SUFFIX}",
    "page.json",
    "generator.tflite",
    "litert",
    "*.js",
    "*.css",
    "index.html",
)


def check_target(
    path: str | os.PathLike[str], overwrite: bool, manifest: str = manifests.NAME
) -> pathlib.Path:
    """Refuses a target that holds anything that must not be lost; returns its path.

    Args:
        path: the folder that is to be written.
        overwrite: whether an earlier export there may be replaced.
        manifest: the file by which an earlier export is known.

    Raises:
        TypeError, ValueError: if `path` is no path.
        FileExistsError: if there is something at `path` and `overwrite` is False, or
            it is no earlier export, holds other things, or can't be moved.
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
    if path.is_symlink() or not (path / manifest).is_file():
        raise FileExistsError(
            f"{path} exists and is no earlier export (it has no {manifest}), so it is "
            "not overwritten."
        )
    others = [entry.name for entry in path.iterdir() if not _is_written(entry.name)]
    if others:
        raise FileExistsError(
            f"{path} is not overwritten: {', '.join(sorted(others))} in it is no part "
            "of an export. Move it elsewhere first."
        )
    return path


@contextlib.contextmanager
def replaced(
    path: pathlib.Path, overwrite: bool, manifest: str = manifests.NAME
) -> Iterator[pathlib.Path]:
    """A new folder that takes the place of `path` at the end, if all goes well.

    What a killed export left beside `path` is removed first; if it was killed in the
    moment between taking the old folder away and putting the new one there, the old
    one is put back.

    Args:
        path: the folder to write.
        overwrite: whether an earlier export there may be replaced.
        manifest: the file by which an earlier export is known.

    Yields:
        A temporary folder beside `path`, so that moving it is one rename.

    Raises:
        OSError: as for `check_target`, and if the disk is full.
    """
    path = pathlib.Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_up_after_killed(path)
    check_target(path, overwrite, manifest)
    temporary = tempfile.mkdtemp(_SUFFIX, f".{path.name}-", path.parent)
    new = pathlib.Path(temporary, "new")
    old = pathlib.Path(temporary, "old")
    with _held(pathlib.Path(temporary)):
        try:
            new.mkdir()
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
        except Exception as error:
            if not _is_full(error):
                raise
            raise OSError(
                f"{path} can't be written: the disk is full. What was there is as it "
                f"was. ({error})"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _is_written(name: str) -> bool:
    """Whether an export, or a page, has an entry of this name."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _WRITTEN)


def _is_full(error: Exception) -> bool:
    """Whether a disk, or the one with the temporary files, had no space left."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # TensorFlow and a process of its own have no number, a text alone.
    return os.strerror(errno.ENOSPC) in str(error)


def _clear_up_after_killed(path: pathlib.Path) -> None:
    for left in path.parent.iterdir():
        if not (left.name.startswith(f".{path.name}-") and left.name.endswith(_SUFFIX)):
            continue
        with _held(left) as free:
            if not free:  # another process is writing there
                continue
            old = left / "old"
            if old.exists() and not os.path.lexists(path):
                old.rename(path)
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: pathlib.Path) -> Iterator[bool]:
    """Locks a folder until the block or the process ends; says whether it could.

    The operating system gives the lock back however the process ends, so that what a
    killed export left can be told from what another one is writing.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except OSError:  # held by another process, or no locks on this file system
            free = False
        yield free
    finally:
        os.close(descriptor)
