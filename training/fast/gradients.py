"""What TensorFlow keeps of a traced step for ever, taken out again.

`tf.custom_gradient`, by which `training.fast` and TensorFlow's own reduction over
replicas give gradients, enters each one that is traced into a registry. There it holds
the step's graph, with all that the graph refers to: 20 MB a run. While the step is
traced, loops look their gradients up; afterwards nobody does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from training import keras_private

_entries = keras_private.registered_gradients()


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """Takes out what is entered inside of `with`."""
    before = len(_entries)
    try:
        yield
    finally:
        # They stand in the order in which they came.
        for name in list(_entries)[before:] if len(_entries) > before else ():
            if name.startswith("CustomGradient-"):
                del _entries[name]
