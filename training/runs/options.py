"""How a run is carried out, beside what is trained."""

from __future__ import annotations

import dataclasses
from typing import Any

from training.devices import strategies


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a preset is run: what may differ each time a run is carried on."""

    strategy: str = _option(
        "auto", "devices: auto, one-device, mirrored, multi-worker or tpu"
    )
    jit: str = _option("auto", "XLA: on, off, or auto: with a GPU or TPU only")
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

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            counts = isinstance(field.default, int) or (
                field.name in ("score_every", "spectra_every") and value is not None
            )
            if counts and not (
                isinstance(value, int) and not isinstance(value, bool) and value >= 1
            ):
                raise ValueError(
                    f"`{field.name}` must be an integer of 1 or more. "
                    f"Received: {field.name}={value!r}"
                )
        if self.on_nan not in ("stop", "rollback"):
            raise ValueError(
                "`on_nan` must be 'stop' or 'rollback'. "
                f"Received: on_nan={self.on_nan!r}"
            )
        if self.jit not in ("auto", "on", "off"):
            raise ValueError(
                f"`jit` must be 'auto', 'on' or 'off'. Received: jit={self.jit!r}"
            )
        file = self.inception
        if file is not None and not (isinstance(file, str) and file):
            raise ValueError(
                "`inception` must be the path of a file, or None. "
                f"Received: inception={file!r}"
            )
        if self.strategy not in list(strategies.STRATEGIES):
            raise ValueError(
                f"`strategy` must be one of {list(strategies.STRATEGIES)}. "
                f"Received: strategy={self.strategy!r}"
            )
