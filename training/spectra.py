"""The spectra of D's kernels while it trains (the paper's figures 3 and 9)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from sn_keras import singular_values
from training.events import Events
from training.files import replacing


class Spectra(keras.callbacks.Callback):
    """Writes exact spectra of all of D's kernels to TensorBoard and as a picture.

    At every `every`-th step and at the last: `spectral_norm/LAYER`, the
    largest singular value of the kernel that the layer runs with, by singular value
    decomposition; and a PNG, `spectra-STEP.png`, of the squared singular values of
    each kernel, scaled to a maximum of 1.

    Args:
        folder: where the pictures go; created if it is not there.
        every: steps (G updates) between two, 1 or more.
        events: TensorBoard's files, or None for pictures alone.
        last_step: has spectra in any case; None: the step at which `fit` ends. A run
            that is stopped and carried on knows its last step, and has no other ones
            than a run that was never stopped.

    Raises:
        ValueError: if `every` is below 1.
    """

    def __init__(
        self,
        folder: Path | str,
        every: int,
        events: Events | None = None,
        last_step: int | None = None,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be 1 or more. Received: every={every}")
        self._folder = Path(folder)
        self._every = every
        self._events = events
        self._last_step = last_step
        self._seen = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Counts from the step that the model has."""
        self._seen = self.model.step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes if a multiple of `every` was passed since the last call."""
        step = self.model.step
        due = step // self._every > self._seen // self._every
        if due or step == self._last_step:
            self.write(step)
        self._seen = step

    def on_train_end(self, logs: Any = None) -> None:
        """Writes the last step, unless it was just written."""
        if self._last_step is None and self.model.step % self._every:
            self.write(self.model.step)

    def write(self, step: int) -> None:
        """Writes the spectra of the model as it is."""
        spectra = by_layer(self.model.discriminator)
        if self._events is not None:
            norms = {f"spectral_norm/{k}": float(s[0]) for k, s in spectra.items()}
            self._events.scalars(step, norms)
        self._folder.mkdir(parents=True, exist_ok=True)
        plot(spectra, self._folder / f"spectra-{step:08d}.png")


def by_layer(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the singular values of each kernel by a short name of its own.

    The name is that of the layer where it is unique, else the whole path.
    """
    values = singular_values(model)
    short = {path: path.split("/")[-2] for path in values}
    names = list(short.values())
    return {
        short[path] if names.count(short[path]) == 1 else path: value
        for path, value in values.items()
    }


def plot(spectra: Mapping[str, np.ndarray], path: Path | str) -> None:
    """Draws squared singular values, largest scaled to 1, a curve a kernel.

    Args:
        spectra: `{name: singular values in descending order}`.
        path: the PNG to write or replace.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    colors = [f"C{i % 10}" for i in range(len(spectra))]
    for color, (name, values) in zip(colors, spectra.items(), strict=True):
        if len(values) > 1 and values[0] > 0:
            position = np.linspace(0, 1, len(values))
            axes.plot(position, (values / values[0]) ** 2, label=name, color=color)
    axes.set_xlabel(
        "index of the singular value, from the largest (0) to the least (1)"
    )
    axes.set_ylabel("squared singular value / largest")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize="small", ncols=1 + len(spectra) // 12)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
