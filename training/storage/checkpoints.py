"""Checkpoints: the values of all variables of a run at one step, one file each.

A checkpoint is an uncompressed `.npz` (no pickle). The archive holds a CRC-32 of each
array, which is verified when it is read, so that a file that was cut short or damaged
is noticed and passed over.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training import values
from training.storage.files import remove_temporaries, replacing

Groups = Mapping[str, Sequence[keras.Variable]]

_NAME = re.compile(r"step-(\d{8})\.npz")
# What reading a file that was cut short, altered or put there by hand can raise.
_DAMAGES = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


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

    Raises:
        TypeError: if `keep` is no integer.
        ValueError: if `keep` is below 1.
    """

    def __init__(self, folder: Path | str, keep: int = 3):
        self.folder = values.path("folder", folder)
        self.keep = values.integer("keep", keep)
        self.folder.mkdir(parents=True, exist_ok=True)

    def save(
        self, step: int, groups: Groups, metadata: Mapping[str, Any] | None = None
    ) -> Path:
        """Writes a checkpoint and then removes those beyond `keep`.

        Args:
            step: G updates done, 0 or more.
            groups: names of groups with their variables (or arrays of their values),
                in a fixed order.
            metadata: plain JSON to keep beside the arrays.

        Returns:
            The file's path.
        """
        path = self.folder / f"step-{step:08d}.npz"
        _write(path, step, groups, metadata)
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
        _write(path, step, groups, metadata)
        return path

    def best(self) -> Checkpoint | None:
        """Returns the checkpoint of `save_best`, or None if there is none.

        Raises:
            ValueError: if it is damaged.
        """
        path = self.folder / "best.npz"
        if not path.exists():
            return None
        try:
            return _read(path)
        except _DAMAGES as error:
            raise ValueError(f"The checkpoint {path} is damaged: {error}") from error

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
        """
        remove_temporaries(self.folder)
        for _, path in reversed(self.steps()):
            try:
                return _read(path)
            except _DAMAGES as e:
                warnings.warn(
                    f"The checkpoint {path} is damaged and passed over: {e}",
                    stacklevel=2,
                )
        return None


def _write(
    path: Path, step: int, groups: Groups, metadata: Mapping[str, Any] | None
) -> None:
    arrays = {key: _array(value) for key, value in _flatten(groups).items()}
    text = json.dumps({**(metadata or {}), "step": step})
    arrays["metadata"] = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read(path: Path) -> Checkpoint:
    # Opened here: NumPy leaves its own file open when the archive is damaged.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    metadata = json.loads(arrays.pop("metadata").tobytes().decode("utf-8"))
    # Before there was a best one, files had the step in their name alone.
    step = int(metadata.pop("step", path.stem.removeprefix("step-")))
    return Checkpoint(step, arrays, metadata, path)


def _array(value: keras.Variable | np.ndarray) -> np.ndarray:
    return np.asarray(value if isinstance(value, np.ndarray) else value.numpy())


def _flatten(groups: Groups) -> dict[str, keras.Variable]:
    return {
        f"{name}/{index:04d}": variable
        for name, variables in groups.items()
        for index, variable in enumerate(variables)
    }
