"""Trained generators as files that need no Keras: SavedModel, LiteRT and ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.discriminator import export_discriminator
    from export.errors import ConversionError, VerificationError
    from export.generator import export_generator
    from export.verification.stored import verify

_HOMES = {
    "ConversionError": "export.errors",
    "VerificationError": "export.errors",
    "export_discriminator": "export.discriminator",
    "export_generator": "export.generator",
    "verify": "export.verification.stored",
}


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: TensorFlow takes seconds, and reads when it
    # is imported what `python -m export` tells it about its messages.
    if name not in _HOMES:
        raise AttributeError(f"module 'export' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


__all__ = [
    "ConversionError",
    "VerificationError",
    "export_discriminator",
    "export_generator",
    "verify",
]
