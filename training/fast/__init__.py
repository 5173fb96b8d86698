"""Faster forms of what Keras computes in a training step, with the same results.

docs/performance.md says what each form brings. A form takes the place of a layer's
`call`, or of an optimizer's update, for the time of a step alone: before, between and
after steps all are as Keras made them, so that a copy, a saved or an exported file has
no trace of this. Whatever has no faster form, such as a subclass, runs as before.
"""

from __future__ import annotations

import keras

from training import keras_private
from training.fast import adam, convolutions, layers, resampling
from training.fast.form import Form


def forms(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[Form]:
    """Returns the faster forms of a network's layers and of its optimizer.

    Args:
        network: a built network.
        optimizer: what updates its weights.
    """
    found = [adam.form(keras_private.inner(optimizer))]
    for layer in keras_private.flatten_layers(network):
        found += [layers.form(layer), convolutions.form(layer), resampling.form(layer)]
    return [form for form in found if form is not None]
