"""Keras and `sn_keras`, imported when something of theirs is first used.

The import takes seconds, which `--help` and a mistake in an option would wait for.
What describes a choice (networks, normalizers, losses) takes them from here, so that
its names can be known without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    from keras import layers, ops

    import sn_keras
else:

    class _Deferred:
        def __init__(self, module: str):
            self._module = module

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self._module), name)

    keras = _Deferred("keras")
    layers = _Deferred("keras.layers")
    ops = _Deferred("keras.ops")
    sn_keras = _Deferred("sn_keras")

__all__ = ["keras", "layers", "ops", "sn_keras"]
