"""A run's generators: the last, the averaged and the best ones."""

from __future__ import annotations

from pathlib import Path

import keras

import sn_keras  # noqa: F401 (registers the layers that files name)
from training.evaluation.callbacks import best_generator_path, read_best
from training.storage.checkpoints import Checkpoints
from training.storage.folder import RunFolder
from training.storage.stamps import read_step


def generator_path(folder: RunFolder, weights: str) -> Path:
    """Returns the file of a run's last, ema, best or ema-best generator."""
    paths = {
        "last": folder.generator,
        "ema": folder.averaged_generator,
        "best": best_generator_path(folder.path),
        "ema-best": best_generator_path(folder.path, "ema_"),
    }
    if weights not in paths:
        raise ValueError(
            f"`weights` must be one of {list(paths)}. Received: {weights!r}"
        )
    return paths[weights]


def existing_generator(folder: RunFolder, weights: str = "last") -> Path:
    """Returns the file of one of a run's generators.

    Raises:
        ValueError: if it isn't there.
    """
    path = generator_path(folder, weights)
    if not path.exists():
        hint = {
            "last": "it is written with the first checkpoint",
            "ema": "it is written if the run averages its weights (--ema)",
            "best": "it is written if the run is scored as it trains (--score-every)",
            "ema-best": "it is written if a run that averages its weights (--ema) is "
            "scored as it trains (--score-every)",
        }[weights]
        raise ValueError(
            f"`run` must have the file {path.name}; {hint}. Received: {folder.path}"
        )
    return path


def load_generator(folder: RunFolder, weights: str = "last") -> keras.Model:
    """Loads one of a run's generators.

    Raises:
        ValueError: if it isn't there.
    """
    return keras.saving.load_model(existing_generator(folder, weights), compile=False)


def load_with_step(folder: RunFolder, weights: str) -> tuple[keras.Model, int]:
    """Returns a generator and its step; the run may go on as it is loaded."""
    while True:
        step = _step_of_file(folder, weights)
        generator = load_generator(folder, weights)
        if _step_of_file(folder, weights) == step:
            return generator, step


def _step_of_file(folder: RunFolder, weights: str) -> int:
    # The checkpoint comes after the file, and may not be there yet.
    step = read_step(existing_generator(folder, weights))
    return step_of(folder, weights) if step is None else step


def step_of(folder: RunFolder, weights: str = "last") -> int:
    """Returns the step that a run's weights have come to, 0 if nothing says.

    That of the best or of the newest checkpoint, from which the run would carry on.
    """
    if weights in ("best", "ema-best"):
        best = read_best(folder.path, "ema_" if weights == "ema-best" else "")
        return 0 if best is None else best.step
    if not folder.checkpoints.is_dir():
        return 0
    steps = [step for step, _ in Checkpoints(folder.checkpoints).steps()]
    return max(steps, default=0)
