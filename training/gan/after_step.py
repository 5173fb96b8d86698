"""Callbacks that look at a GAN after a step."""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np

from training import values


class AfterStep(keras.callbacks.Callback, abc.ABC):
    """Calls `after(step, due, logs)` after a step; `every` and the last are `due`.

    Under `steps_per_execution` several steps pass between two calls: due is whoever
    passed a multiple of `every` since the last one.

    Args:
        every: steps between two that are due, 1 or more.
        last_step: is due in any case. None: the step at which `fit` ends is; a run that
            is stopped and carried on knows its last step, and has no other ones that
            are due than a run that was never stopped.

    Raises:
        TypeError: if `every` is no integer.
        ValueError: if it is below 1.
    """

    def __init__(self, every: int, last_step: int | None = None):
        super().__init__()
        self._every = values.integer("every", every)
        self._last_step = last_step
        self._seen = 0
        self._done = True

    def on_train_begin(self, logs: Any = None) -> None:
        """Counts from the step that the model has."""
        self._seen = self.model.step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Calls `after`."""
        step = self.model.step
        due = step // self._every > self._seen // self._every or step == self._last_step
        self._seen = step
        self._done = due
        self.after(step, due, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Calls `after` for the step at which `fit` ended, unless it was due."""
        if self._last_step is None and not self._done:
            self._done = True
            self.after(self._seen, True, logs)

    @abc.abstractmethod
    def after(self, step: int, due: bool, logs: Any) -> None:
        """Does what is to be done after a step."""


def numbers(logs: Any) -> dict[str, float]:
    """Returns Keras' logs as floats; under several workers they are of shape (1,).

    As exact as float32 is: what is beyond depends on the replicas' number.
    """
    return {name: float(np.float32(np.mean(value))) for name, value in logs.items()}
