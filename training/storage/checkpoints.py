"""Checkpoints: the values of all variables of a run at one step, one file each.

A checkpoint is an uncompressed `.npz` (no pickle) with a SHA-256 of all its bytes as
the archive's comment: a file that was cut short or changed in any place is noticed and
passed over. The archive's own CRC-32 of each array leaves its directory unguarded.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np

from training import values
from training.storage.files import remove_temporaries, replacing

Groups = Mapping[str, Sequence[keras.Variable]]

_NAME = re.compile(r"step-(\d{8,})\.npz")
_DIGEST = "sha256"
_DIGEST_BYTES = 64  # in hexadecimal
# A damaged archive can make `zipfile` raise other ones.
_UNREADABLE = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint in memory.

    Attributes:
        step: the step (G updates done) at which it was taken.
        arrays: `{"group/index": array}`.
        metadata: what was given to `save`, plain JSON.
        path: the file that it was read from.
    """

    step: int
    arrays: dict[str, np.ndarray] = field(repr=False)
    metadata: dict[str, Any]
    path: Path

    def restore(self, groups: Groups) -> None:
        """Assigns the arrays to variables.

        Args:
            groups: the variables in the same groups and order as they were saved.

        Raises:
            ValueError: if a variable is missing, left over or of another shape; then
                no variable is assigned.
        """
        variables = _flatten(groups)
        missing = sorted(variables.keys() - self.arrays.keys())
        surplus = sorted(self.arrays.keys() - variables.keys())
        reshaped = [
            f"{key}: {self.arrays[key].shape} in the file, {tuple(variable.shape)} here"
            for key, variable in variables.items()
            if key in self.arrays and self.arrays[key].shape != tuple(variable.shape)
        ]
        if missing or surplus or reshaped:
            raise ValueError(
                f"{self.path} does not fit `groups`: missing in the file {missing}, "
                f"only in the file {surplus}, of another shape {reshaped}."
            )
        for key, variable in variables.items():
            variable.assign(self.arrays[key])


class Checkpoints:
    """The checkpoints of a run's folder.

    Args:
        folder: created if it is not there.
        keep: how many of the newest to keep, 1 or more.
        run: the run's id, `RunFolder.id()`. Checkpoints are written with it, and one
            that has another is refused. None takes all.

    Raises:
        TypeError: if `keep` is no integer.
        ValueError: if `keep` is below 1.
    """

    def __init__(self, folder: Path | str, keep: int = 3, run: str | None = None):
        self.folder = values.path("folder", folder)
        self.keep = values.integer("keep", keep)
        self.run = run
        self._damaged: set[Path] = set()
        self.folder.mkdir(parents=True, exist_ok=True)

    def save(
        self, step: int, groups: Groups, metadata: Mapping[str, Any] | None = None
    ) -> Path:
        """Writes a checkpoint and then removes those beyond `keep`.

        Those that `latest` passed over no longer count, and get a suffix `.damaged`.

        Args:
            step: G updates done, 0 or more.
            groups: names of groups with their variables (or arrays of their values),
                in a fixed order.
            metadata: plain JSON to keep beside the arrays.

        Returns:
            The file's path.
        """
        path = self.folder / f"step-{step:08d}.npz"
        self._write(path, step, groups, metadata)
        for damaged in self._damaged - {path}:
            with contextlib.suppress(FileNotFoundError):
                damaged.replace(damaged.with_name(f"{damaged.name}.damaged"))
        self._damaged = set()
        for _, old in self.steps()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(
        self, step: int, groups: Groups, metadata: Mapping[str, Any] | None = None
    ) -> Path:
        """Writes `best.npz`, which is never among the newest and never removed.

        Args:
            step: as for `save`.
            groups: as for `save`.
            metadata: as for `save`.

        Returns:
            The file's path.
        """
        path = self.folder / "best.npz"
        self._write(path, step, groups, metadata)
        return path

    def best(self) -> Checkpoint | None:
        """Returns the checkpoint of `save_best`, or None if there is none.

        Raises:
            ValueError: if it is damaged, or another run's.
        """
        path = self.folder / "best.npz"
        if not path.exists():
            return None
        try:
            found, run = _read(path)
        except Exception as error:
            raise ValueError(
                f"The checkpoint {path} is damaged: {_text(error)}"
            ) from error
        self._check_whose(found, run)
        return found

    def steps(self) -> list[tuple[int, Path]]:
        """Returns the steps that there are files for, oldest first."""
        found = []
        for path in self.folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match:
                found.append((int(match[1]), path))
        return sorted(found)

    def latest(self) -> Checkpoint | None:
        """Returns the newest checkpoint that is whole, or None if there is none.

        A damaged one is passed over with a warning that names it.

        Raises:
            OSError: if one can't be read, which says nothing of what it holds.
            ValueError: if the newest that is whole is another run's, or of another
                step than its name says.
        """
        remove_temporaries(self.folder)
        for step, path in reversed(self.steps()):
            try:
                found, run = _read(path)
            # A damaged archive can make `zipfile` and NumPy raise nearly anything.
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _UNREADABLE:
                    raise
                warnings.warn(
                    f"The checkpoint {path} is damaged and passed over: {_text(error)}",
                    stacklevel=2,
                )
                self._damaged.add(path)
                continue
            # Not passed over: it would stay among the newest for good, and push out
            # those that the run goes on to write.
            self._check_whose(found, run)
            if found.step != step:
                raise ValueError(
                    f"The checkpoint {path} is of step {found.step}, another than its "
                    "name says. Move it out of the folder, and the run carries on from "
                    "the one before."
                )
            return found
        return None

    def _check_whose(self, found: Checkpoint, run: str | None) -> None:
        if self.run is not None and run not in (None, self.run):
            raise ValueError(
                f"The checkpoint {found.path} belongs to another run. Move it out of "
                "the folder, and this one carries on from the one before."
            )

    def _write(
        self,
        path: Path,
        step: int,
        groups: Groups,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        arrays = {key: _array(value) for key, value in _flatten(groups).items()}
        about = {**(metadata or {}), "step": step, "run": self.run, "digest": _DIGEST}
        text = json.dumps(about)
        arrays["metadata"] = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
        with replacing(path) as temporary:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            with temporary.open("rb+") as file:
                # An archive ends with the length of its comment, 0 so far.
                file.seek(-2, os.SEEK_END)
                file.write(_DIGEST_BYTES.to_bytes(2, "little"))
                file.write(_digest(file, file.tell()))


def _read(path: Path) -> tuple[Checkpoint, str | None]:
    """Returns a whole checkpoint, and the run that it names."""
    # Opened here: NumPy leaves its own file open when the archive is damaged.
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) - _DIGEST_BYTES
        expected = _digest(file, max(end, 0))
        whole = file.read() == expected
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            metadata = json.loads(archive["metadata"].tobytes().decode("utf-8"))
            # Those of version 0.1.0 have none.
            if metadata.pop("digest", None) == _DIGEST and not whole:
                raise ValueError("its bytes are others than those that were written")
            arrays = {key: archive[key] for key in archive.files if key != "metadata"}
    # Before there was a best one, files had the step in their name alone.
    step = int(metadata.pop("step", path.stem.removeprefix("step-")))
    run = metadata.pop("run", None)
    return Checkpoint(step, arrays, metadata, path), run


def _digest(file: IO[bytes], size: int) -> bytes:
    """Returns the digest of a file's first bytes, at whose end the file then is."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (part := file.read(min(size, 1 << 20))):
        digest.update(part)
        size -= len(part)
    return digest.hexdigest().encode()


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _array(value: keras.Variable | np.ndarray) -> np.ndarray:
    return np.asarray(value if isinstance(value, np.ndarray) else value.numpy())


def _flatten(groups: Groups) -> dict[str, keras.Variable]:
    return {
        f"{name}/{index:04d}": variable
        for name, variables in groups.items()
        for index, variable in enumerate(variables)
    }
