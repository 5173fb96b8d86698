"""An upper bound of a model's Lipschitz constant, from its graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.layers import Layer

from sn_keras import slopes, values
from sn_keras.bounds import Tensor, UnknownBoundError, to_float64
from sn_keras.conditional_batch_normalization import ConditionalBatchNormalization
from sn_keras.copying import check_built
from sn_keras.effective_kernels import effective_kernels
from sn_keras.keras_private import (
    Call,
    build_shapes,
    calls,
    graph_tensors,
    in_order_of_inputs,
    operation_name,
)
from sn_keras.kernels import check_supported
from sn_keras.layer_bounds import LAYERS
from sn_keras.operation_bounds import OPERATIONS
from sn_keras.reparameterization import Reparameterization


def lipschitz_bound(model: Layer, convolutions: str = "kernel") -> float:
    """Returns an upper bound of a layer's or model's Lipschitz constant in inference.

    `‖f(x) − f(y)‖ ≤ L ‖x − y‖` in the Euclidean norm of all inputs and all outputs;
    inputs of integers (labels, tokens) are held fixed. The bound is put together
    along the graph: what follows one another is multiplied, `x + f(x)` has `1 + L_f`,
    what is concatenated `√(L_1² + L_2²)`. It is never below the truth, but for the
    rounding of the model's own arithmetic, and usually well above it.

    A dense layer's factor is its spectral norm, a convolution's is

    - `"kernel"`: `√(∏ ⌈k/s⌉) σ₁`, with `σ₁` the norm of the paper's matrix, kernel
      size `k` and stride `s`, as a pixel lies in at most so many patches; or that of
      the adjoint, `√(∏ k)` times the norm of the `in × (k · out)` matrix, if it is
      less. Spectral normalization alone doesn't make it 1.
    - `"operator"`: the norm of the linear map on inputs of the size that the model
      has: exact if the map's matrix is small, else from above by at most a few
      percent.

    Known are Dense and EinsumDense, convolutions of all kinds, this package's
    wrappers, batch norm (also conditional), pooling, padding, cropping, upsampling,
    reshapes, Keras' activations (but `sparsemax`), dropout and noise, Add, Subtract,
    Average, Maximum, Minimum, Concatenate, `TimeDistributed`, models in models, and the
    operations of `keras.ops` of the same kinds, among them sums and products with
    constants. A product with the row that an `Embedding` has for an integer (Dot,
    Multiply, and their sums) is linear for each label: its factor is the longest row,
    and the bound that of all labels. Layer norm, attention, recurrent layers, other
    products of two inputs, and classes of your own have no known bound and are refused,
    subclasses of the above included.

    Args:
        model: a built layer, or a Sequential or Functional model.
        convolutions: `"kernel"` or `"operator"`. Defaults to `"kernel"`.

    Returns:
        A float of 0 or more.

    Raises:
        ValueError: if the model is not built, has no graph, or a layer without a known
            bound; the layer is named. If `convolutions` is unknown.

    Example:
    ```python
    lipschitz_bound(discriminator)
    lipschitz_bound(discriminator, convolutions="operator")  # the less
    ```

    Source: Miyato et al. 2018, section 2.1 (layers in a chain); Gouk et al. 2021,
    https://arxiv.org/abs/1804.04368 (residual blocks, pooling, batch norm).
    """
    values.name("convolutions", convolutions, ("kernel", "operator"))
    check_built(model, "bounded")
    walk = Walk(convolutions)
    if isinstance(model, keras.Model):
        walk.graph(model)
        inputs = [(x.shape, x.dtype) for x in graph_tensors(model)[0]]
    else:
        inputs = _built_for(model)
    tensors = [
        Tensor(tuple(shape), {i: 1.0} if _is_float(dtype) else {})
        for i, (shape, dtype) in enumerate(inputs)
    ]
    several = isinstance(model, keras.Model) or len(tensors) == 1
    arguments = tuple(tensors) if several else (tensors,)
    layer = _inside(model)
    known = len(tensors) == 1 and tensors[0].shape and type(layer) in LAYERS
    shapes = [layer.compute_output_shape(tensors[0].shape)] if known else None
    outputs = walk.call(model, arguments, {}, shapes)
    table = [[one.bounds.get(i, 0.0) for i in range(len(tensors))] for one in outputs]
    return float(np.linalg.norm(np.array(table), 2)) if tensors else 0.0


def _inside(layer: Layer) -> Layer:
    while isinstance(layer, Reparameterization):
        layer = layer.layer
    return layer


def _built_for(model: Layer) -> list[tuple[Any, str]]:
    layer = _inside(model)
    shapes = list((build_shapes(layer) or {}).values())
    if not shapes:
        return [((), "float32")]
    if all(n is None or isinstance(n, int) for n in shapes[0]):
        shapes = [shapes]
    kinds = ["float32"] * len(shapes[0])
    if isinstance(layer, (keras.layers.Embedding, ConditionalBatchNormalization)):
        kinds[-1] = "int32"  # the labels
    return list(zip(shapes[0], kinds, strict=True))


def _is_float(dtype: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(dtype)


class Walk:
    """Goes through a model's graph and applies each layer's rule.

    Attributes:
        convolutions: `"kernel"` or `"operator"`.
        kernels: what wrappers around the current layer put in the place of its
            kernels, by the variables' ids.
    """

    def __init__(self, convolutions: str):
        self.convolutions = convolutions
        self.kernels: dict[int, Any] = {}

    def call(self, layer: Any, args: Any, options: Any, shapes: Any) -> list[Tensor]:
        """Returns the outputs of one call.

        Args:
            layer: the layer, model or operation.
            args: its positional arguments, with a `Tensor` in each tensor's place.
            options: its keyword arguments.
            shapes: the shapes of its outputs, None if not known.
        """
        masks = keras.tree.flatten(options.get("mask"))
        if options.get("training") or any(mask is not None for mask in masks):
            raise self.unknown(layer, "is called with `training` or `mask`")
        if isinstance(layer, Layer) and "call" in vars(layer):
            raise self.unknown(layer, "has had its `call` replaced")
        if isinstance(layer, keras.Model):
            return self._call_model(layer, args, options)
        if isinstance(layer, Reparameterization):
            return self._call_wrapped(layer, args, options, shapes)
        with np.errstate(divide="ignore", invalid="ignore"):
            outputs = self._call_layer(layer, args, options, shapes)
        if not all(np.isfinite(bound) for x in outputs for bound in x.bounds.values()):
            raise self.unknown(layer, "has weights that make it infinite")
        return outputs

    def _call_layer(
        self, layer: Any, args: Any, options: Any, shapes: Any
    ) -> list[Tensor]:
        name = operation_name(layer)
        rule = LAYERS.get(type(layer)) if name is None else OPERATIONS.get(name)
        slope = (
            slopes.of_layer(layer) if name is None else slopes.of_operation(name, layer)
        )
        given = [
            value
            for value in options.values()
            if any(isinstance(x, Tensor) for x in keras.tree.flatten(value))
        ]
        arguments = [*args, *given]
        if slope is not None:
            return [arguments[0].scaled(slope)]
        if rule is None:
            if type(layer) is keras.layers.Activation:
                self.activation(layer)
            raise self.unknown(layer)
        shape = None if shapes is None else shapes[0]
        output = rule(self, layer, arguments, shape)
        return (
            [output]
            if shapes is None
            else [dataclasses.replace(output, shape=tuple(one)) for one in shapes]
        )

    def kernel(self, layer: Layer, attribute: str = "kernel") -> np.ndarray:
        """Returns the value, in float64, that a layer has or a wrapper gives it."""
        check_supported(layer)
        variable = getattr(layer, attribute)
        value = to_float64(self.kernels.get(id(variable), variable))
        if not np.isfinite(value).all():
            raise self.unknown(layer, "has a kernel that is not finite")
        return value

    def activation(self, layer: Layer) -> float:
        """Returns the slope of a layer's `activation`."""
        slope = slopes.of_activation(layer.activation)
        if slope is None:
            kind = getattr(layer.activation, "__name__", type(layer.activation))
            raise self.unknown(layer, f"has the activation {kind!r}")
        return slope

    def unknown(self, layer: Any, reason: str = "") -> UnknownBoundError:
        """Makes the error for a layer without a known bound."""
        of_class = f"{layer.name!r} of class {type(layer).__name__}"
        reason = f", which {reason}" if reason else ""
        return UnknownBoundError(
            "`model` has a layer whose Lipschitz constant is not known: "
            f"{of_class}{reason}."
        )

    def graph(self, model: keras.Model) -> Iterator[Call]:
        """Returns the calls that a model is made of, or says that it has none."""
        nodes = calls(model)
        if nodes is None:
            raise UnknownBoundError(
                "`model` must be a layer, or a Sequential or Functional model, which "
                f"has a graph to read. Received: model={model.name!r} of class "
                f"{type(model).__name__}"
            )
        return nodes

    def _call_model(self, model: keras.Model, args: Any, options: Any) -> list[Tensor]:
        nodes = self.graph(model)
        inputs, outputs = graph_tensors(model)
        # One argument, or the tensors one by one as `lipschitz_bound` has them.
        given = args if len(args) > 1 else [*args, *options.values()][0]
        given = in_order_of_inputs(model, given)
        known = {id(x): one for x, one in zip(inputs, given, strict=True)}

        def filled(x: Any) -> Any:
            return known.get(id(x), x)

        for operation, arguments, options, results in nodes:
            arguments = keras.tree.map_structure(filled, arguments)
            options = keras.tree.map_structure(filled, options)
            shapes = [x.shape for x in results]
            made = self.call(operation, arguments, options, shapes)
            known.update({id(x): y for x, y in zip(results, made, strict=True)})
        return [known[id(x)] for x in outputs]

    def _call_wrapped(
        self, wrapper: Reparameterization, args: Any, options: Any, shapes: Any
    ) -> list[Tensor]:
        if type(wrapper).call.__module__.partition(".")[0] != "sn_keras":
            raise self.unknown(wrapper, "has a `call` of its own")
        before = self.kernels
        # Those inside a wrapper are reached from the outermost one.
        inside = any(id(w) in before for w in wrapper.layer.weights)
        if not inside:
            self.kernels = {**before, **effective_kernels(wrapper)}
        try:
            return self.call(wrapper.layer, args, options, shapes)
        finally:
            self.kernels = before
