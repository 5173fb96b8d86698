"""Callbacks of Keras that look for one loss or one optimizer, as a GAN has two of."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from training import keras_private


class _OfBothLosses(keras.callbacks.TerminateOnNaN):
    """Keras' own looks at a log named `loss` alone, which a GAN doesn't have."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        total = float(sum(np.mean(value) for value in (logs or {}).values()))
        super().on_batch_end(batch, {"loss": total})


class _OfBothOptimizers(keras.callbacks.SwapEMAWeights):
    """Keras' own leaves the end to `fit`, which looks for one optimizer alone."""

    def on_train_end(self, logs: Any = None) -> None:
        if self.swap_on_epoch or not self.model.step:
            return  # has been done, or the averages are still 0
        for optimizer in self.model.optimizer.optimizers:
            if optimizer.use_ema:
                averaged = [weight for weight, _ in keras_private.averages(optimizer)]
                optimizer.finalize_variable_values(averaged)


_ADAPTED = {
    keras.callbacks.TerminateOnNaN: _OfBothLosses,
    keras.callbacks.SwapEMAWeights: _OfBothOptimizers,
}


def adapted(callbacks: Any) -> Any:
    """Returns callbacks with those above in the place of Keras' own."""
    if callbacks is None or isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    found = []
    for one in callbacks:
        if type(one) in _ADAPTED:
            of_both = _ADAPTED[type(one)]()
            of_both.__dict__.update(one.__dict__)
            one = of_both
        found.append(one)
    return found
