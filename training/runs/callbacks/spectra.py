"""The spectra of D's kernels while it trains (the paper's figures 3 and 9)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from sn_keras import singular_values
from training.gan.after_step import AfterStep
from training.storage.files import replacing
from training.storage.tensorboard import Events


class Spectra(AfterStep):
    """Writes exact spectra of all of D's kernels to TensorBoard and as pictures.

    At every `every`-th step and at the last, by singular value decomposition of the
    kernels that the layers run with:

    - TensorBoard: `spectral_norm/LAYER`, the largest singular value, and the histogram
      `squared_singular_values/LAYER`, scaled to a maximum of 1;
    - `spectra-STEP.png`, the squared singular values of each kernel, likewise scaled;
    - `spectral-norms.png`, the largest ones over all steps so far, with the numbers in
      `spectral-norms.jsonl`, a JSON object a line.

    Args:
        folder: where the files go; created if it is not there. Of steps that are
            written again, as after a crash, the numbers are replaced.
        every: steps (G updates) between two, 1 or more.
        events: TensorBoard's files, or None for pictures alone.
        last_step: has spectra in any case; None: the step at which `fit` ends.

    Raises:
        TypeError: if `every` is no integer.
        ValueError: if it is below 1.
    """

    def __init__(
        self,
        folder: Path | str,
        every: int,
        events: Events | None = None,
        last_step: int | None = None,
    ):
        super().__init__(every, last_step)
        self._folder = Path(folder)
        self._events = events

    def after(self, step: int, due: bool, logs: Any) -> None:
        """Writes a step that is due."""
        if due:
            self.write(step)

    def write(self, step: int) -> None:
        """Writes the spectra of the model as it is."""
        spectra = by_layer(self.model.discriminator)
        norms = {name: float(values[0]) for name, values in spectra.items()}
        if self._events is not None:
            self._events.scalars(
                step, {f"spectral_norm/{name}": norm for name, norm in norms.items()}
            )
            self._events.histograms(
                step,
                {
                    f"squared_singular_values/{name}": _scaled_squares(values)
                    for name, values in spectra.items()
                },
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        plot(spectra, self._folder / f"spectra-{step:08d}.png")
        history = self._record(step, norms)
        plot_norms(history, self._folder / "spectral-norms.png")

    def _record(self, step: int, norms: dict[str, float]) -> list[dict[str, float]]:
        """Adds a line to the numbers and returns all of them."""
        path = self._folder / "spectral-norms.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        history = [json.loads(line) for line in lines]
        history = [entry for entry in history if entry["step"] < step]
        history.append({"step": step, **norms})
        with replacing(path) as temporary:
            text = "".join(json.dumps(entry) + "\n" for entry in history)
            temporary.write_text(text, encoding="utf-8")
        return history


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
            axes.plot(position, _scaled_squares(values), label=name, color=color)
    axes.set_xlabel(
        "index of the singular value, from the largest (0) to the least (1)"
    )
    axes.set_ylabel("squared singular value / largest")
    axes.set_ylim(0, 1.02)
    _save(figure, path)


def plot_norms(history: Sequence[Mapping[str, float]], path: Path | str) -> None:
    """Draws the largest singular values over the steps, a curve a kernel.

    Args:
        history: `{"step": step, name: norm, …}`, one a step.
        path: the PNG to write or replace.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = [entry["step"] for entry in history]
    names = [name for name in history[-1] if name != "step"]
    for i, name in enumerate(names):
        norms = [entry.get(name, np.nan) for entry in history]
        axes.plot(steps, norms, label=name, color=f"C{i % 10}", marker=".")
    axes.set_xlabel("updates of G")
    axes.set_ylabel("largest singular value")
    _save(figure, path)


def _scaled_squares(values: np.ndarray) -> np.ndarray:
    """Returns the squares of descending values, the first scaled to 1."""
    return (values / values[0]) ** 2 if values[0] > 0 else values


def _save(figure: Figure, path: Path | str) -> None:
    (axes,) = figure.axes
    axes.legend(fontsize="small", ncols=1 + len(axes.lines) // 12)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
