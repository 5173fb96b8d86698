"""The same function with fewer operations: what inference doesn't need is folded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

import sn_keras
from export import keras_private
from export.inference import batch_norm, upsampling
from export.inference.phases import PhaseConvolution
from export.inference.portable import SplitConvolution, rewritten
from export.reading.plain_models import copied


class Nothing(keras.layers.Layer):
    """Returns its input, whatever else the layer that it stands for was given."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        # Keras 3.12 would build it, with the shapes of arguments that are None.
        self.built = True

    def call(self, inputs: Any, **others: Any) -> Any:
        """Returns `inputs`."""
        return inputs


def simplify(
    model: keras.Model, phases: bool = False, portable: bool = False
) -> keras.Model:
    """Returns a model of equal output in inference, made for inference alone.

    - A batch norm right after a convolution, transposed convolution or dense layer is
      folded into its kernel and bias: `W · γ/√(σ² + ε)` and
      `(b − μ) · γ/√(σ² + ε) + β`.
    - Conditional batch norm becomes one scale and one shift a class.
    - A ReLU after such a layer becomes its activation, which costs nothing there.
    - Dropout and its like go.
    - With `phases`, what LiteRT runs fastest: transposed convolutions become
      `PhaseConvolution`s; nearest upsampling is merged into the convolution that
      follows, whose kernel grows by it, or comes after it if that is 1×1.

    - With `portable`, convolutions that converters don't take become others
      (`portable.rewritten`).

    Layers inside nested models are left as they are.

    Args:
        model: a Functional or Sequential model; not changed.
        phases: see above. Defaults to False.
        portable: see above. Defaults to False.
    """
    readers = _readers(model)
    folded = _foldable(model, readers)
    norms = {id(producer): norm for norm, producer in folded.values()}
    rectified = _rectified(model, readers, folded)
    active = {id(producer) for _, producer in rectified.values()}
    before = _upsampled(model, readers) if phases else {}
    after = {id(up): conv for up, conv in before.values()}
    values: dict[str, list[np.ndarray]] = {}

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.Layer):
            return layer
        if id(layer) in folded or id(layer) in rectified or _idle(layer):
            return Nothing(name=layer.name)
        if _is_class_norm(layer):
            scale, shift = batch_norm.class_affine(layer)
            return batch_norm.ClassAffine(scale, shift, layer.name)
        if phases and upsampling.is_nearest(layer):
            follower = after.get(id(layer))
            if follower is None:
                return upsampling.NearestUpsampling(layer.size[0], layer.name)
            if follower.kernel_size != (1, 1):
                return Nothing(name=layer.name)
            # The 1×1 convolution in the place of the upsampling.
            return convolution(follower, layer.name)
        if id(layer) in before:
            size = before[id(layer)][0].size[0]
            if layer.kernel_size == (1, 1):
                return upsampling.NearestUpsampling(size, layer.name)
            config = upsampling.merged_config(convolution(layer).get_config(), size)
            kernel, *bias = values[layer.name]
            values[layer.name] = [upsampling.merged_kernel(kernel, size), *bias]
            return PhaseConvolution(config)
        if id(layer) in norms or id(layer) in active:
            layer = convolution(layer)
        else:
            values[layer.name] = _weights(layer)
        if portable and layer.name in values:
            layer, values[layer.name] = rewritten(layer, values[layer.name])
        if phases and PhaseConvolution.can_replace(layer):
            return PhaseConvolution(layer.get_config())
        return layer if isinstance(layer, SplitConvolution) else copied(layer)

    def convolution(
        layer: keras.layers.Layer, name: str | None = None
    ) -> keras.layers.Layer:
        """A copy that does what follows as well; notes its weights."""
        name = name or layer.name
        changes: dict[str, Any] = {"name": name}
        values[name] = _weights(layer)
        if id(layer) in active:
            changes["activation"] = "relu"
        if id(layer) in norms:
            changes["use_bias"] = True
            values[name] = batch_norm.fold(layer, norms[id(layer)])
        return copied(layer, **changes)

    simple = keras.models.clone_model(model, clone_function=clone)
    for name, arrays in values.items():
        simple.get_layer(name).set_weights(arrays)
    return simple


Pairs = Mapping[int, tuple[keras.layers.Layer, keras.layers.Layer]]


def _readers(model: keras.Model) -> dict[int, int]:
    """Returns how often each tensor (by id) is read, as an output of the model too."""
    readers: dict[int, int] = {}
    tensors = list(model.outputs)
    for layer in model.layers:
        tensors += _inputs(layer)
    for tensor in tensors:
        readers[id(tensor)] = readers.get(id(tensor), 0) + 1
    return readers


def _before(
    layer: keras.layers.Layer, readers: Mapping[int, int]
) -> keras.layers.Layer | None:
    """Returns the layer whose output this one, called once, is the only one to read."""
    inputs = _inputs(layer)
    if len(inputs) != 1 or readers[id(inputs[0])] != 1:
        return None
    producer = keras_private.producer(inputs[0])
    return producer if len(_inputs(producer)) == 1 else None


def _foldable(model: keras.Model, readers: Mapping[int, int]) -> Pairs:
    """Returns batch norms (by id) with the layer that each one folds into."""
    folded = {}
    for layer in model.layers:
        if type(layer) is not keras.layers.BatchNormalization:
            continue
        producer = _before(layer, readers)
        if (
            producer is not None
            and type(producer) in batch_norm.OUTPUT_AXIS
            and producer.activation is keras.activations.linear
            and getattr(producer, "data_format", "channels_last") == "channels_last"
            and _last_axis(layer)
        ):
            folded[id(layer)] = (layer, producer)
    return folded


def _rectified(model: keras.Model, readers: Mapping[int, int], folded: Pairs) -> Pairs:
    """Returns ReLUs (by id) with the layer whose activation each one becomes."""
    found = {}
    for layer in model.layers:
        if not _is_relu(layer):
            continue
        producer = _before(layer, readers)
        if producer is not None and id(producer) in folded:
            producer = folded[id(producer)][1]
        if (
            producer is not None
            and type(producer) in batch_norm.OUTPUT_AXIS
            and producer.activation is keras.activations.linear
        ):
            found[id(layer)] = (layer, producer)
    return found


def _is_relu(layer: keras.layers.Layer) -> bool:
    if type(layer) is keras.layers.ReLU:
        return layer.max_value is None and not (layer.negative_slope or layer.threshold)
    kind = type(layer) is keras.layers.Activation
    return kind and layer.activation is keras.activations.relu


def _upsampled(model: keras.Model, readers: Mapping[int, int]) -> Pairs:
    """Returns (by the convolution's id) an upsampling and the convolution after it."""
    pairs = {}
    for layer in model.layers:
        if upsampling.can_merge(layer):
            producer = _before(layer, readers)
            if producer is not None and upsampling.is_nearest(producer):
                pairs[id(layer)] = (producer, layer)
    return pairs


def _inputs(layer: keras.layers.Layer) -> list[Any]:
    """Returns the tensors that a layer is called on, over all of its calls."""
    return [
        tensor for call in keras_private.calls(layer) for tensor in call.input_tensors
    ]


def _is_class_norm(layer: keras.layers.Layer) -> bool:
    kind = type(layer) is sn_keras.ConditionalBatchNormalization
    return kind and _last_axis(layer)


def _last_axis(norm: keras.layers.Layer) -> bool:
    rank = len(_inputs(norm)[0].shape)
    return norm.axis in (-1, rank - 1)


def _weights(layer: keras.layers.Layer) -> list[np.ndarray]:
    return [batch_norm.as_numpy(weight) for weight in layer.weights]


def _idle(layer: keras.layers.Layer) -> bool:
    """Whether a layer does nothing in inference."""
    if type(layer) is keras.layers.UpSampling2D:
        return tuple(layer.size) == (1, 1)
    return type(layer) in (
        keras.layers.Dropout,
        keras.layers.SpatialDropout2D,
        keras.layers.GaussianNoise,
        keras.layers.GaussianDropout,
        keras.layers.ActivityRegularization,
    )
