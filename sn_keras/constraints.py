"""Constraints: what an optimizer's step is followed by."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from sn_keras import values


@keras.saving.register_keras_serializable(package="sn_keras")
class WeightClip(keras.constraints.Constraint):
    """Clips every entry of a weight to `[−c, c]` after each optimizer step.

    This is how Wasserstein GANs first bounded the discriminator; Miyato et al. compare
    with it, applied to the kernels of convolutions alone.

    Args:
        c: the bound, positive. Defaults to 0.01.

    Raises:
        TypeError: if `c` is no number.
        ValueError: if it is not positive.

    Example:
    ```python
    keras.layers.Conv2D(64, 3, kernel_constraint=WeightClip(0.01))
    ```

    Source: Arjovsky et al., "Wasserstein Generative Adversarial Networks", ICML 2017,
    https://arxiv.org/abs/1701.07875, algorithm 1.
    """

    def __init__(self, c: float = 0.01):
        self.c = values.number("c", c, above=0)

    def __call__(self, w: Any) -> Any:
        return ops.clip(w, -self.c, self.c)

    def get_config(self) -> dict[str, Any]:
        return {"c": self.c}
