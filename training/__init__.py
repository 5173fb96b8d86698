"""GANs that train with `model.fit` under `tf.distribute`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.gan.gradient_penalty import GradientPenalty
    from training.gan.losses import AdversarialLoss
    from training.gan.model import GAN

_HOMES = {
    "GAN": "training.gan.model",
    "GradientPenalty": "training.gan.gradient_penalty",
    "AdversarialLoss": "training.gan.losses",
}


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: TensorFlow takes seconds, which
    # `python -m training --help` and `presets` would wait for.
    if name not in _HOMES:
        raise AttributeError(f"module 'training' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


__all__ = ["GAN", "AdversarialLoss", "GradientPenalty"]
