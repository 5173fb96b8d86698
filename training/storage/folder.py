"""A run's folder: what lies where, and whose it is."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training import values
from training.storage import lock
from training.storage.files import (
    DiskFullError,
    full_disk_explained,
    remove_temporaries,
    replacing,
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
        self.config_file = self.path / "config.json"
        self.checkpoints = self.path / "checkpoints"
        self.logs = self.path / "logs"
        self.samples = self.path / "samples"
        self.spectra = self.path / "spectra"
        self.metrics_file = self.path / "metrics.jsonl"
        self.generator = self.path / "generator.keras"
        self.averaged_generator = self.path / "generator-ema.keras"
        self.discriminator = self.path / "discriminator.keras"

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
        with self._named("read"):
            self._check(config, defaults or {})

    def _check(self, config: dict[str, Any], defaults: dict[str, Any]) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"`run` must be a folder. Received: the file {self.path}")
        if self.config_file.exists():
            differences = _differences(self.config(), config, defaults)
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
        with self._named("made and written"), full_disk_explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass

    @contextlib.contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except DiskFullError:
            raise
        except OSError as error:
            raise ValueError(
                f"`run` must be a folder that can be {what}. "
                f"Received: {self.path}: {error.strerror}"
            ) from error

    def open(
        self, config: dict[str, Any], defaults: dict[str, Any] | None = None
    ) -> None:
        """Makes the folder ready for a run.

        Args:
            config: a plain JSON object. Its `"preset"` and `"data"` decide whether a
                folder belongs to the same run.
            defaults: as for `check`.

        Raises:
            ValueError: as `check`.
        """
        self.check(config, defaults)
        # First of all: what a killed process leaves behind must be known as a run.
        self.path.mkdir(parents=True, exist_ok=True)
        remove_temporaries(self.path)
        write_json(self.config_file, config)
        for folder in (self.checkpoints, self.logs, self.samples):
            folder.mkdir(exist_ok=True)
        for folder in (self.checkpoints, self.logs, self.samples, self.spectra):
            if folder.exists():
                remove_temporaries(folder)

    def config(self) -> dict[str, Any]:
        """Returns the config that the run was started with.

        Raises:
            ValueError: if there is none, or it is damaged.
        """
        with self._named("read"):
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
        return config

    def append_metrics(self, entry: dict[str, Any]) -> None:
        """Appends a line to the metrics."""
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the lines of the metrics; one that is damaged is left out."""
        if not self.metrics_file.exists():
            return []
        entries = []
        for line in self.metrics_file.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                entries.append(entry)
        return entries

    def truncate_metrics(self, step: int) -> None:
        """Removes the lines of later steps, which will be written again."""
        kept = [entry for entry in self.metrics() if entry["step"] <= step]
        with replacing(self.metrics_file) as temporary:
            lines = "".join(json.dumps(entry) + "\n" for entry in kept)
            temporary.write_text(lines, encoding="utf-8")


def _differences(
    old: dict[str, Any], new: dict[str, Any], defaults: dict[str, Any]
) -> list[str]:
    """Returns what makes two configs belong to different runs, in words."""
    # JSON has no tuples: without a round trip (1, 2) would differ from [1, 2].
    new = json.loads(json.dumps(new))
    differences = []
    for part in ("preset", "data"):
        before, after = old.get(part, {}), new.get(part, {})
        if part == "preset":
            before = {**defaults, **before}
        # Names say nothing about what is computed, and without a decay a run may be
        # carried on for longer.
        ignored = {"name", "description"} if part == "preset" else set()
        if before.get("decay_steps") == 0 == after.get("decay_steps"):
            ignored.add("steps")
        for key in sorted((before.keys() | after.keys()) - ignored):
            if before.get(key) != after.get(key):
                differences.append(
                    f"{key} is {before.get(key)!r} there and {after.get(key)!r} here"
                )
    return differences
