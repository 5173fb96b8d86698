"""The gradient penalty of WGAN-GP, for any adversarial loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from training import values


@dataclasses.dataclass(frozen=True)
class GradientPenalty:
    """Penalizes D where the norm of its gradient by the image is not 1.

    `weight · E (‖∇D(x̂)‖ − target)²`, `x̂ = εx + (1 − ε)G(z)`, `ε ~ U(0, 1)` a sample,
    with `‖g‖ = sqrt(Σ g² + epsilon)`: without the epsilon inside the root the
    gradient of the norm is not a number where D is flat.

    Args:
        weight: λ, a positive number. Defaults to 10.
        target: the norm wanted, 0 or more. Defaults to 1.
        epsilon: added inside the root, a positive number. Defaults to 1e-12.

    Raises:
        TypeError: if an argument is no number.
        ValueError: if an argument is out of its range.

    Source: Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017,
    https://arxiv.org/abs/1704.00028, equation 3.
    """

    weight: float = 10.0
    target: float = 1.0
    epsilon: float = 1e-12

    def __post_init__(self) -> None:
        ranges = {
            "weight": {"above": 0},
            "target": {"minimum": 0},
            "epsilon": {"above": 0},
        }
        for name, allowed in ranges.items():
            plain = values.number(name, getattr(self, name), **allowed)
            object.__setattr__(self, name, plain)

    def __call__(
        self,
        logits_of: Callable[[tf.Tensor], tf.Tensor],
        real: tf.Tensor,
        fake: tf.Tensor,
        mix: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the penalty, a float32 scalar that D's weights get a gradient from.

        Args:
            logits_of: D, from images to logits of shape `(batch, 1)`.
            real: real images.
            fake: generated images, as many.
            mix: `ε`, shape `(batch, 1, 1, 1)`, values in [0, 1].
        """
        mixed = mix * real + (1.0 - mix) * fake
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(mixed)
            logits = logits_of(mixed)
        gradient = tape.gradient(logits, mixed)
        # A sum of thousands of squares has to be taken in float32; a half-precision
        # discriminator hands its gradient over in the dtype of `mixed`.
        squares = tf.square(tf.cast(gradient, tf.float32))
        norms = tf.sqrt(tf.reduce_sum(squares, axis=[1, 2, 3]) + self.epsilon)
        return self.weight * tf.reduce_mean(tf.square(norms - self.target))


def get(penalty: float | GradientPenalty | None) -> GradientPenalty | None:
    """Returns a penalty; a number is taken as its weight, None is none.

    Raises:
        TypeError: if it is something else.
        ValueError: if the number is no weight.
    """
    if penalty is None or isinstance(penalty, GradientPenalty):
        return penalty
    weight = values.number("gradient_penalty", penalty, above=0)
    return GradientPenalty(weight)
