"""The learning rate of the paper: constant, then falling linearly to zero."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training import values


@keras.saving.register_keras_serializable(package="training")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """`rate · min(1, (steps − step) / decay_steps)`, and 0 from step `steps` on.

    Args:
        rate: the rate before the decay.
        steps: updates in all, 1 or more.
        decay_steps: over how many updates at the end the rate falls, 1 to `steps`.

    Raises:
        TypeError: if an argument is of another kind.
        ValueError: if one is out of its range.
    """

    def __init__(self, rate: float, steps: int, decay_steps: int):
        self.rate = values.number("rate", rate)
        self.steps = values.integer("steps", steps)
        self.decay_steps = values.integer("decay_steps", decay_steps, 1, self.steps)

    def __call__(self, step: Any) -> Any:
        """Returns the rate of an update."""
        left = ops.cast(self.steps - ops.cast(step, "int64"), "float32")
        return self.rate * ops.clip(left / self.decay_steps, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "rate": self.rate,
            "steps": self.steps,
            "decay_steps": self.decay_steps,
        }
