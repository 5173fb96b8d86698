"""GANs that train with `model.fit` under `tf.distribute`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.gan import GAN
    from training.gradient_penalty import GradientPenalty
    from training.losses import AdversarialLoss

_HOMES = {
    "GAN": "training.gan",
    "GradientPenalty": "training.gradient_penalty",
    "AdversarialLoss": "training.losses",
}


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: TensorFlow takes seconds, which
    # `python -m training --help` and `presets` would wait for.
    if name not in _HOMES:
        raise AttributeError(f"module 'training' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


__all__ = ["GAN", "AdversarialLoss", "GradientPenalty"]
