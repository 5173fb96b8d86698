"""Errors that are not about an argument's value."""

from __future__ import annotations


class VerificationError(RuntimeError):
    """An exported file does not do what the Keras model does."""


class ConversionError(RuntimeError):
    """A format can't express the model."""
