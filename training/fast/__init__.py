"""Faster forms of what Keras computes in a training step, with the same results.

docs/performance.md says what each form brings. Layers and optimizers stay Keras' own:
their configuration and state are the same, a copy or a saved file has no trace of this,
and whatever has no faster form runs as before.
"""

import keras

from training import keras_private
from training.fast import adam, convolutions, layers, resampling


def use(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Lets a network and its optimizer run by the faster forms.

    Args:
        network: a built network.
        optimizer: what updates its weights.
    """
    for layer in keras_private.flatten_layers(network):
        layers.use(layer)
        convolutions.use(layer)
        resampling.use(layer)
    adam.use(optimizer)
