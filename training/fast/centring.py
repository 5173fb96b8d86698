"""Layer and group norm of inputs that are centred first: right second derivatives.

`tf.nn.moments`, on which Keras' layers rest, takes the mean inside the variance as a
constant. The first derivative is right all the same, but the second lacks the term
that comes of the mean's change, and the gradient of a gradient penalty is a second
derivative: layers before such a norm got gradients that were off by some percent.
Centred inputs have the mean zero whatever the weights do, so nothing is lacking.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training import keras_private
from training.fast.form import Form


def forms(network: keras.Model) -> list[Form]:
    """Returns a `call` that centres inputs for each layer and group norm of a network.

    Args:
        network: a built network.
    """
    found = []
    for layer in keras_private.flatten_layers(network):
        # A subclass may compute something else.
        call = type(layer).call
        if call is keras.layers.GroupNormalization.call:
            found.append(Form(layer, "call", _group_norm))
        # With `rms_scaling` the result depends on the mean.
        elif call is keras.layers.LayerNormalization.call and not layer.rms_scaling:
            found.append(Form(layer, "call", _layer_norm))
    return found


def _layer_norm(layer: keras.layers.LayerNormalization, inputs: Any) -> Any:
    x = _in_float32(inputs)
    centred = x - ops.mean(x, layer.axis, keepdims=True)
    return keras.layers.LayerNormalization.call(layer, centred)


def _group_norm(layer: keras.layers.GroupNormalization, inputs: Any) -> Any:
    x = ops.moveaxis(_in_float32(inputs), layer.axis, -1)
    shape = ops.shape(x)
    # Keras has replaced a `groups` of -1 by the number of channels.
    x = ops.reshape(x, (*shape[:-1], layer.groups, shape[-1] // layer.groups))
    axes = [*range(1, len(shape) - 1), len(shape)]
    x = ops.reshape(x - ops.mean(x, axes, keepdims=True), shape)
    x = ops.moveaxis(x, -1, layer.axis)
    return keras.layers.GroupNormalization.call(layer, x)


def _in_float32(x: Any) -> Any:
    # Both layers compute in float32 or better, and cast to their own dtype at the end.
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
