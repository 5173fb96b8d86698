"""NaN and infinity: noticed at the step where they come, and never saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from sn_keras import SpectralNormalization
from training import keras_private
from training.gan.after_step import AfterStep, numbers
from training.gan.hooks import is_finite


class NonFiniteError(RuntimeError):
    """A loss or a weight is NaN or infinite."""


class Guard(AfterStep):
    """Ends a run whose loss is not finite, before anything is written."""

    def after(self, step: int, due: bool, logs: Any) -> None:
        """Raises a `NonFiniteError` that says what the step looked like."""
        losses = numbers(logs)
        if all(math.isfinite(value) for value in losses.values()):
            return
        raise NonFiniteError(
            f"The loss is not finite at step {step}: "
            f"{_listed({**losses, **spectral_norms(self.model.discriminator)})}. The "
            "last checkpoint is from before that. A smaller learning rate, or a "
            "normalizer or penalty for D, may help."
        )


class Finite(AfterStep):
    """Ends a run with a weight that is not finite, before anything is drawn of it.

    In all workers: that which looks at the networks alone would leave the others
    waiting.
    """

    def after(self, step: int, due: bool, logs: Any) -> None:
        """Raises a `NonFiniteError` at a step that is due."""
        if due:
            check_finite(self.model, step)


def check_finite(gan: Any, step: int) -> None:
    """Raises a `NonFiniteError` that names the first weight that isn't finite.

    An optimizer's averages count as well: an infinite one freezes its weight for good,
    and no loss tells.
    """
    for variable in (
        *gan.generator.variables,
        *gan.discriminator.variables,
        *gan.generator_optimizer.variables,
        *gan.discriminator_optimizer.variables,
    ):
        if not is_finite(variable):
            raise NonFiniteError(
                f"The weight {variable.path} is not finite at step {step}: "
                f"{_listed(spectral_norms(gan.discriminator))}. The last checkpoint "
                "is from before that."
            )


def spectral_norms(model: keras.Model) -> dict[str, float]:
    """Returns the σ that each spectrally normalized layer divides by.

    Returns:
        `{"sigma/layer": σ}`, with the kernel's name after the layer's where it has
        several.
    """
    found = {}
    for layer in keras_private.flatten_layers(model):
        if isinstance(layer, SpectralNormalization):
            sigma = layer.sigma()
            by_kernel = sigma if isinstance(sigma, dict) else {"": sigma}
            for kernel, value in by_kernel.items():
                name = f"sigma/{layer.name}/{kernel}".rstrip("/")
                found[name] = float(value)
    return found


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:.6g}" for name, value in values.items()) or (
        "no layer has a σ"
    )
