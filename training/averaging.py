"""An average of G's weights that follows a young G closely and an old one slowly."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="training")
class RampedAdam(keras.optimizers.Adam):
    """Adam whose average of the weights has a momentum that grows.

    After `t` updates it is `min(ema_momentum, t / (t + 9))`: a tenth of the updates so
    far count, until these are as many as `ema_momentum` says. With a constant momentum
    the average is for long that of a generator that had learnt nothing yet.

    Everything else, the constructor too, is as in `keras.optimizers.Adam`.
    """

    ema_momentum: Any

    # Keras has no public place for it (3.15.1).
    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        if self.use_ema:
            plain: Any = self.ema_momentum
            steps = ops.cast(self.iterations, "float32")
            try:
                self.ema_momentum = ops.minimum(plain, steps / (steps + 9.0))
                super()._update_model_variables_moving_average(trainable_variables)
            finally:
                self.ema_momentum = plain
