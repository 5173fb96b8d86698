"""How a run is carried out, beside what is trained."""

from __future__ import annotations

import dataclasses
from typing import Any

JIT = ("auto", "on", "off")
ON_NAN = ("stop", "rollback")


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a preset is run: what may differ each time a run is carried on.

    `training.runs.checks.options` says what values a field may have.
    """

    strategy: str = _option(
        "auto", "devices: auto, one-device, mirrored, multi-worker or tpu"
    )
    jit: str = _option("auto", "XLA: on, off, or auto: with one GPU or TPU only")
    steps_per_execution: int = _option(1, "steps between two looks of Python")
    log_every: int = _option(50, "steps between two entries of losses and σ")
    sample_every: int = _option(250, "steps between two sample grids")
    samples: int = _option(64, "images in a sample grid")
    checkpoint_every: int = _option(500, "steps between two checkpoints")
    keep: int = _option(
        3, "how many of the newest checkpoints to keep; the best by score stays too"
    )
    on_nan: str = _option(
        "stop",
        "what a loss or weight that is not finite does: stop, or rollback to the "
        "newest checkpoint and on with other random numbers",
    )
    spectra_every: int | None = _option(
        None, "steps between two exact spectra of D's kernels; none: no spectra"
    )
    score_every: int | None = _option(
        None, "steps between two scores, which keep the best generator; none: no scores"
    )
    score_images: int = _option(5000, "generated images that a score rests on")
    inception: str | None = _option(
        None,
        "file of the 2015 Inception network to score by; none: a classifier that is "
        "trained on the data's labels",
    )
    worker_timeout: int = _option(
        600, "seconds to wait for workers of TF_CONFIG that have not started"
    )
