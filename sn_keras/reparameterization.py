"""The base of all wrappers: runs a layer with `f(kernel)` in place of its kernel.

Invariant: the kernel is written by the optimizer alone. A forward pass reads it,
computes `f(kernel)` as a tensor and runs the wrapped layer in a scope in which the
kernel's variable reads as that tensor. Gradients therefore flow through `f`.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from sn_keras import keras_private, values
from sn_keras.kernels import Kernel, check_supported, find_kernels
from sn_keras.substitution import Substitution
from sn_keras.wrapping import (
    check_kernel_axes,
    check_layer,
    check_not_taken_apart,
    default_name,
    give_dtype,
    is_unwrapping,
    kernel_axes,
    symbolic,
    with_training,
)

# The wrapper whose `__call__` is under way; see `Reparameterization.call`.
_called: contextvars.ContextVar[Any] = contextvars.ContextVar(
    "sn_keras_called", default=None
)


class Reparameterization(keras.layers.Wrapper):
    """Base of the wrappers that run a layer with `f(kernel)` in place of the kernel.

    Subclasses implement `transform`, and `build_kernel` if they have state. They
    work with any layer that `sn_keras.kernels` finds kernels in, whatever it takes
    and returns: further arguments, masks and nested outputs are passed on.

    The arithmetic on the kernel is done in float32 (float64 if the kernel is
    float64), also under a mixed policy; the wrapped layer keeps its own dtype policy
    and casts `f(kernel)` as it would have cast the kernel.

    Args:
        layer: the `keras.layers.Layer` to wrap, built or not.
        kernels: names of the layer's kernels that are replaced, or of layers inside
            it: for a recurrent layer `["recurrent_kernel"]`, for attention
            `["query", "key"]`. Defaults to None, all of them.
        **kwargs: `name`, `trainable`, and `dtype`, which becomes the wrapped layer's.

    Raises:
        TypeError: if `layer` is no layer.
        ValueError: if `layer` is one that can't be wrapped (without a kernel,
            quantised, with LoRA, created in a `keras.RematScope`, with Keras' own
            wrapper): on construction if that can be seen, otherwise when it is built
            or called.
    """

    def __new__(cls, layer: Any = None, *args: Any, **kwargs: Any) -> Any:
        # `fold` rebuilds a model from its config with every wrapper left out. Doing
        # it here reaches wrappers that a subclassed model creates in its own
        # constructor, which no rewriting of the config would find.
        if is_unwrapping() and isinstance(layer, keras.layers.Layer):
            give_dtype(kwargs.get("dtype"), layer)
            if kwargs.get("name") is not None:
                layer.name = kwargs["name"]
            return layer
        return super().__new__(cls, layer, *args, **kwargs)

    def __init__(
        self,
        layer: keras.layers.Layer,
        kernels: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        check_layer(layer)
        check_not_taken_apart(type(self), kwargs)
        give_dtype(kwargs.pop("dtype", None), layer)
        if kwargs.get("name") is None:
            # `model.summary()` shows a layer's name and class: say what is inside.
            kwargs["name"] = default_name(type(self), layer)
        # The variables' dtype as policy and no autocast: only then does Keras open
        # no autocast scope around `call`, and the kernel is read unrounded.
        super().__init__(layer, dtype=layer.variable_dtype, **kwargs)
        self.autocast = False
        if not self.trainable:
            layer.trainable = False
        self.kernels = None if kernels is None else values.names("kernels", kernels)
        check_supported(self)
        check_supported(layer)
        self.supports_masking = layer.supports_masking
        signature = with_training(keras_private.call_signature(layer))
        keras_private.set_call_signature(self, signature)
        self._build_layer: Callable[[], Any] | None = None

    # What a subclass defines.

    def build_kernel(self, kernel: Kernel, prefix: str) -> None:
        """Creates the state of one kernel; called once a kernel, in their order.

        Args:
            kernel: the kernel.
            prefix: put it before the names of the weights, which are unique then.
        """

    def add_state(self, name: str, **options: Any) -> keras.Variable:
        """Creates a weight of the wrapper itself; arguments as `add_weight`'s."""
        variable = self.add_weight(name=name, autocast=False, **options)
        # An attribute of its own: `tf.train.Checkpoint` follows no list of Keras'.
        setattr(self, f"state_{name}", variable)
        return variable

    def transform(self, index: int, kernel: Kernel, value: Any, training: bool) -> Any:
        """Returns `f(value)`, a tensor of the kernel's shape.

        Args:
            index: the kernel's position among the layer's kernels.
            kernel: the kernel.
            value: its value in the dtype of the state.
            training: whether the state may be advanced.
        """
        raise NotImplementedError

    # What users call.

    def normalized_kernel(self) -> Any:
        """Returns the kernel that inference runs with; changes nothing.

        Returns:
            A tensor of the kernel's shape, in float32 (float64 for a float64
            kernel). For a layer with several kernels a dict from their names, such
            as `"query/kernel"`, to tensors.

        Raises:
            ValueError: if the layer is not built.
        """
        return self._per_kernel(
            lambda i, kernel, value: self.transform(i, kernel, value, training=False)
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} name={self.name}, layer={self.layer!r}, "
            f"built={self.built}>"
        )

    def __getattr__(self, name: str) -> Any:
        # Called for what is not found; on torch also for layers and variables.
        try:
            return super().__getattr__(name)
        except AttributeError:
            missing = f"A {type(self).__name__} has no attribute {name!r}."
            if name == "layer" or name.startswith("_") or not hasattr(self.layer, name):
                raise AttributeError(missing) from None
            # Not passed on: as `kernel`, is it the trainable one that is wanted?
            raise AttributeError(
                f"{missing} The layer inside has: `layer.layer.{name}`. The kernel "
                "that runs is `layer.normalized_kernel()`."
            ) from None

    # What Keras calls.

    @property
    def dtype_policy(self) -> Any:
        return super().dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        # The layer inside computes by it, and no autocast scope opens around `call`.
        self.layer.dtype_policy = value
        keras.layers.Layer.dtype_policy.fset(self, self.layer.variable_dtype)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        token = _called.set(self)
        if not self.built and not self.layer.built:
            # Keras hands `build` the shape of the first argument alone, but an
            # attention layer is built from several. A symbolic call builds any layer.
            # In a closure, because Keras would track tensors in an attribute.
            specs = keras.tree.map_structure(symbolic, (args, kwargs))
            self._build_layer = lambda: self.layer(*specs[0], **specs[1])
        try:
            return super().__call__(*args, **kwargs)
        finally:
            _called.reset(token)
            if self._build_layer is not None:
                self._build_layer = None

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            if self._build_layer is not None:
                self._build_layer()
            else:
                self.layer.build(input_shape)
                self.layer.built = True
        kernels = find_kernels(self.layer, self.kernels)
        for kernel in kernels:
            prefix = kernel.name.replace("/", "_") + "_" if len(kernels) > 1 else ""
            self.build_kernel(kernel, prefix)
        self.built = True

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        if _called.get() is not self:
            # `TimeDistributed` passes `__call__` by, which would leave its autocast
            # scope in force and round the kernel before its norm is taken.
            return self(*args, training=training, **kwargs)
        scope = Substitution(self.substitutes(bool(training)))
        if training is not None:
            kwargs["training"] = training
        with scope:
            outputs = self.layer(*args, **kwargs)
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def load_own_variables(self, store: Any) -> None:
        # Keras' wrapper keeps its `u` as one row; nothing here has that shape.
        shapes = [tuple(store[key].shape) for key in store.keys()]
        if any(len(shape) == 2 and shape[0] == 1 for shape in shapes):
            raise ValueError(
                f"The file was saved with `keras.layers.SpectralNormalization` in the "
                f"place of {self.name!r}. Load it by `sn_keras.migrate(file, model)`."
            )
        super().load_own_variables(store)

    def substitutes(self, training: bool) -> list[tuple[keras.Variable, Any]]:
        """Returns each kernel's variable with the tensor that takes its place."""
        return [
            (k.variable, ops.cast(self.transform(i, k, value, training), k.dtype))
            for i, k, value in self._values()
        ]

    @property
    def state_variables(self) -> list[keras.Variable]:
        """The wrapper's own weights, without those of the layer inside."""
        inner = {id(weight) for weight in self.layer.weights}
        return [weight for weight in self.weights if id(weight) not in inner]

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if "training" not in keras_private.call_signature(self.layer).parameters:
            kwargs.pop("training", None)
        return self.layer.compute_output_spec(*args, **kwargs)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.layer.compute_mask(inputs, previous_mask)

    @property
    def input_spec(self) -> Any:
        return self.layer.input_spec

    @property
    def state_size(self) -> Any:
        raise ValueError(
            f"A {type(self).__name__} can't be the cell of a `keras.layers.RNN`: it "
            "would run a power iteration at every time step. Wrap the RNN instead: "
            f"`{type(self).__name__}(keras.layers.RNN(cell))`."
        )

    # Shared by subclasses.

    def _values(self) -> Iterator[tuple[int, Kernel, Any]]:
        if not self.built:
            raise ValueError(
                f"The layer {self.name!r} is not built yet. Call it on data or "
                "`build(input_shape)` first."
            )
        for index, kernel in enumerate(find_kernels(self.layer, self.kernels)):
            yield index, kernel, ops.cast(kernel.variable, kernel.state_dtype)

    def _per_kernel(self, function: Callable[[int, Kernel, Any], Any]) -> Any:
        results = {k.name: function(i, k, value) for i, k, value in self._values()}
        return next(iter(results.values())) if len(results) == 1 else results

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # It is in the config of the layer inside.
        del config["dtype"]
        names = None if self.kernels is None else list(self.kernels)
        return {**config, "kernels": names}

    def get_build_config(self) -> dict[str, Any] | None:
        config = super().get_build_config()
        return {**config, **kernel_axes(self)} if config and self.built else config

    def build_from_config(self, config: dict[str, Any]) -> None:
        super().build_from_config(config)
        check_kernel_axes(self, config or {})

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        # Older files have one, which says less than the policy of the layer inside.
        config = {k: value for k, value in config.items() if k != "dtype"}
        return super().from_config(config, custom_objects)
