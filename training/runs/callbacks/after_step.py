"""Callbacks that look at a run after a step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class AfterStep(keras.callbacks.Callback):
    """Calls `after(step, due, logs)` after a step; `every` and the last are `due`.

    Under `steps_per_execution` several steps pass between two calls: due is whoever
    passed a multiple of `every` since the last one.

    Args:
        every: steps between two that are due.
        last_step: is due in any case.
    """

    def __init__(self, every: int, last_step: int):
        super().__init__()
        self._every = every
        self._last_step = last_step
        self._seen = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Counts from the step that the model has."""
        self._seen = self.model.step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Calls `after`."""
        step = self.model.step
        due = step // self._every > self._seen // self._every or step == self._last_step
        self._seen = step
        self.after(step, due, logs)

    def after(self, step: int, due: bool, logs: Any) -> None:
        """Does what is to be done after a step."""
        raise NotImplementedError


def numbers(logs: Any) -> dict[str, float]:
    """Returns Keras' logs as floats; under several workers they are of shape (1,)."""
    return {name: float(np.mean(value)) for name, value in logs.items()}
