"""The precision that a network is built in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Makes layers that are built inside of `with` compute by a Keras dtype policy.

    Args:
        name: the policy's, `"float32"` or `"mixed_bfloat16"`, say.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
