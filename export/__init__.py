"""Trained generators as files that need no Keras: SavedModel and LiteRT."""

from export.api import export_generator
from export.discriminators import export_discriminator
from export.errors import ConversionError, VerificationError

__all__ = [
    "ConversionError",
    "VerificationError",
    "export_discriminator",
    "export_generator",
]
