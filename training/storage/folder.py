"""A run's folder: what lies where, and whose it is."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training import values
from training.storage import identity, lock
from training.storage.files import (
    check_replaceable,
    check_writable,
    remove_temporaries,
    replacing,
    sync,
    write_json,
)

# What a process may have left in a folder before it was known as a run's.
_FIRST_FILES = (*lock.FILES, ".config-*.tmp.json")


class RunFolder:
    """The paths of a run's folder, and its config and metrics files.

    ```
    config.json       what is trained; what a user of the generator must know
    checkpoints/      the newest few, and the best if the run is scored
    logs/             TensorBoard
    samples/          grids, step-00000500.png
    spectra/          spectra of D's kernels, if they were asked for
    metrics.jsonl     a JSON object a line
    generator.keras   the generator as of the newest checkpoint
    discriminator.keras
                      the discriminator, likewise
    ```

    Args:
        path: the folder, there or not. Nothing is written before `open`.

    Raises:
        TypeError: if it is neither a string nor a `Path`.
        ValueError: if no path can be like that.
    """

    def __init__(self, path: Path | str):
        self.path = values.path("run", path)
        # Where the images lie now, if they aren't where config.json says.
        self.moved_data: str | None = None
        self.config_file = self.path / "config.json"
        self.checkpoints = self.path / "checkpoints"
        self.logs = self.path / "logs"
        self.samples = self.path / "samples"
        self.spectra = self.path / "spectra"
        self.metrics_file = self.path / "metrics.jsonl"
        self.generator = self.path / "generator.keras"
        self.averaged_generator = self.path / "generator-ema.keras"
        self.discriminator = self.path / "discriminator.keras"

    def usual_weights(self) -> str:
        """Returns which weights of G are drawn and scored if nothing else is asked for.

        `"ema"`, their average, where there is one, else `"last"`.
        """
        return "ema" if self.averaged_generator.exists() else "last"

    def check(
        self, config: dict[str, Any], defaults: dict[str, Any] | None = None
    ) -> None:
        """Raises if the folder belongs to something else; writes nothing.

        Args:
            config: as for `open`.
            defaults: of the fields of `"preset"`: what a run of a version that hadn't
                got a field counts as.

        Raises:
            ValueError: if the folder holds a run of another configuration (the
                message says what differs), or something that is no run, or can't be
                read.
        """
        with self._readable():
            self._check(config, defaults or {})

    def _check(self, config: dict[str, Any], defaults: dict[str, Any]) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"`run` must be a folder. Received: the file {self.path}")
        if self.config_file.exists():
            for file in (self.config_file, self.metrics_file, *self._networks()):
                check_replaceable(file, "run")
            differences = identity.differences(self.config(), config, defaults)
            if differences:
                raise ValueError(
                    f"`run` {self.path} belongs to another configuration, and was left "
                    "as it is. Take another folder, or the options that it was started "
                    f"with. What differs: {'; '.join(differences)}"
                )
        elif self.path.exists() and any(
            not any(entry.match(pattern) for pattern in _FIRST_FILES)
            for entry in self.path.iterdir()
        ):
            raise ValueError(
                f"`run` {self.path} is a folder that holds other files and no run. "
                "Take a new or an empty one."
            )

    def create(self) -> None:
        """Makes the folder if it is not there.

        Raises:
            DiskFullError: if there is no space for it.
            ValueError: if it can't be made or written.
        """
        check_writable(self.path, "run")

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ValueError(
                "`run` must be a folder that can be read. "
                f"Received: {self.path}: {error.strerror}"
            ) from error

    def _networks(self) -> tuple[Path, ...]:
        return self.generator, self.averaged_generator, self.discriminator

    def open(
        self, config: dict[str, Any], defaults: dict[str, Any] | None = None
    ) -> None:
        """Makes the folder ready for a run.

        Args:
            config: a plain JSON object. Its `"preset"` and `"data"` decide whether a
                folder belongs to the same run. An `"id"` is added to it.
            defaults: as for `check`.

        Raises:
            ValueError: as `check`.
        """
        self.check(config, defaults)
        # First of all: what a killed process leaves behind must be known as a run.
        self.path.mkdir(parents=True, exist_ok=True)
        remove_temporaries(self.path)
        old = self.config() if self.config_file.exists() else {}
        # Kept: a later version may say more about the same run.
        write_json(
            self.config_file, {**config, "id": old.get("id") or identity.of(config)}
        )
        for folder in (self.checkpoints, self.logs, self.samples):
            folder.mkdir(exist_ok=True)
        for folder in (self.checkpoints, self.logs, self.samples, self.spectra):
            if folder.exists():
                remove_temporaries(folder)

    def is_run(self) -> bool:
        """Returns whether a run was started in the folder.

        Raises:
            ValueError: if nothing can lie there, such as under a name that is too long.
        """
        with self._readable():
            return self.config_file.exists()

    def config(self) -> dict[str, Any]:
        """Returns the config that the run was started with.

        Raises:
            ValueError: if there is none, or it is damaged.
        """
        with self._readable():
            if not self.config_file.exists():
                raise ValueError(
                    f"`run` must be the folder of a run. Received: {self.path}, which "
                    "has no config.json"
                )
            text = self.config_file.read_bytes()
        try:
            config = json.loads(text)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{self.config_file} is damaged: {error}") from error
        if not isinstance(config, dict):
            raise ValueError(f"{self.config_file} is damaged: no JSON object.")
        for part in ("preset", "data", "generator"):
            if not isinstance(config.get(part, {}), dict):
                raise ValueError(
                    f"{self.config_file} is damaged: `{part}` is no JSON object."
                )
        shape = config.get("data", {}).get("image_shape", [1])
        if not isinstance(shape, list) or {type(n) for n in shape} != {int}:
            raise ValueError(
                f"{self.config_file} is damaged: `image_shape` is no list of integers."
            )
        return config

    def part(self, name: str) -> dict[str, Any]:
        """Returns a part of the config, such as `"generator"`.

        Raises:
            ValueError: if there is none, or as `config`.
        """
        config = self.config()
        if name not in config:
            raise ValueError(f"{self.config_file} is damaged: it has no `{name}`.")
        return config[name]

    def id(self) -> str | None:
        """Returns what names the run in its checkpoints; None before `open`."""
        return self.config().get("id") if self.config_file.exists() else None

    def append_metrics(self, entry: dict[str, Any]) -> None:
        """Appends a line to the metrics."""
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def sync(self) -> None:
        """Flushes the metrics and TensorBoard's files to the disk."""
        events = self.logs.glob("events.out.tfevents.*")
        for path in (self.metrics_file, *events, self.logs, self.path):
            if path.exists():
                sync(path)

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the lines of the metrics; a damaged one is left out with a warning.

        The last line is unfinished, and left out without one, if a process was killed
        as it wrote it.
        """
        *lines, _ = self._lines()
        entries = [_entry(line) for line in lines]
        damaged = [str(i) for i, entry in enumerate(entries, 1) if entry is None]
        if damaged:
            warnings.warn(
                f"{self.metrics_file} is damaged in line {', '.join(damaged)}, which "
                "is left out.",
                stacklevel=2,
            )
        return [entry for entry in entries if entry is not None]

    def truncate_metrics(self, step: int) -> None:
        """Removes the lines of later steps, which will be written again.

        Lines stand in the order of their steps. What comes before stays as it is.
        """
        kept = []
        *lines, _ = self._lines()
        for line in lines:
            entry = _entry(line)
            if entry is not None and entry["step"] > step:
                break
            kept.append(line + b"\n")
        with replacing(self.metrics_file) as temporary:
            temporary.write_bytes(b"".join(kept))

    def _lines(self) -> list[bytes]:
        """Returns the lines, and at the end what follows the last of them."""
        if not self.metrics_file.exists():
            return [b""]
        return self.metrics_file.read_bytes().split(b"\n")


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(entry, dict) and isinstance(entry.get("step"), int)
    return entry if whole else None
