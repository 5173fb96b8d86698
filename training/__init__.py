"""GANs that train with `model.fit` under `tf.distribute`."""

from __future__ import annotations

import importlib
import sys
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

# Modules with classes that a saved GAN may be made of. Keras looks them up among those
# that were registered, which is at their import, and imports nothing itself.
_SAVED = (
    "sn_keras",
    "training.gan.augmentation",
    "training.gan.model",
    "training.gan.schedules",
)


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: TensorFlow takes seconds, which
    # `python -m training --help` and `presets` would wait for.
    if name not in _HOMES:
        raise AttributeError(f"module 'training' has no attribute {name!r}")
    _register()
    return getattr(importlib.import_module(_HOMES[name]), name)


def _register() -> None:
    for name in _SAVED:
        importlib.import_module(name)


# With Keras there already, nobody waits, and `import training` alone lets
# `keras.saving.load_model` read a saved GAN. On another backend there is no `GAN`.
if "keras" in sys.modules and sys.modules["keras"].backend.backend() == "tensorflow":
    _register()

__all__ = ["GAN", "AdversarialLoss", "GradientPenalty"]
