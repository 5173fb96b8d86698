"""Times of exported files, and the machine that they were taken on."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

from export.verification.summary import table as text_table


@dataclasses.dataclass(frozen=True)
class Timing:
    """The time of one file at one batch size and number of threads.

    Attributes:
        name: the file, or `keras predict`, or `model.export …`.
        precision: of the weights.
        batch_size: images in a call.
        threads: that the runtime may use.
        milliseconds: median of a call; NaN if the runtime can't run the file.
        fastest: the fastest call, in milliseconds.
        images_per_second: by the median.
        turns: number of calls measured.
    """

    name: str
    precision: str
    batch_size: int
    threads: int
    milliseconds: float
    fastest: float
    images_per_second: float
    turns: int


def machine() -> dict[str, Any]:
    """Returns what the figures depend on besides the files."""
    processor = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1] for line in file if line.startswith("model n")]
        processor = names[0].strip() if names else processor
    versions = {}
    for name in ("tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"processor": processor, "cores": os.cpu_count(), "versions": versions}


def table(timings: Sequence[Timing]) -> str:
    """Returns timings as a table to print, with each time over the SavedModel's."""
    rows = [("file", "precision", "batch", "threads", "ms", "images/s", "/ SavedModel")]
    reference = {
        (one.batch_size, one.threads): one.milliseconds
        for one in timings
        if one.name == "saved_model"
    }
    for one in timings:
        base = reference.get((one.batch_size, one.threads))
        rows.append(
            (
                one.name,
                one.precision,
                str(one.batch_size),
                str(one.threads),
                f"{one.milliseconds:.2f}" if one.turns else "can't run",
                f"{one.images_per_second:.0f}" if one.turns else "",
                f"{one.milliseconds / base:.2f}" if one.turns and base else "",
            )
        )
    return text_table(rows)
