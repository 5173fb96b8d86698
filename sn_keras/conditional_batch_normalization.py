"""Batch normalization with a scale and a shift for every class."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from sn_keras import values


@keras.saving.register_keras_serializable(package="sn_keras")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Normalizes by the statistics of all classes, then scales and shifts by class.

    `y = γ_c · (x − μ) / sqrt(σ² + epsilon) + β_c`, with `c` the label of the sample
    and `μ`, `σ²` the mean and variance of every channel: those of the batch in
    training, the moving averages in inference. All classes share `μ` and `σ²`; the
    conditional generators of the paper differ by class in `γ` and `β` alone.

    Classes interpolate: in place of integers, labels may be a float weighting `w` of
    shape `(batch, num_classes)`. The sample is then scaled by `Σ_c w_c γ_c` and
    shifted by `Σ_c w_c β_c`. A one-hot weighting is the same as the integer.

    The arithmetic is in float32 (float64 for a float64 layer), also under a mixed
    policy. Under `tf.distribute` each replica normalizes by the statistics of its own
    share of the batch and keeps moving averages of its own, of which the first
    replica's are saved, as with Keras' batch normalization. With `synchronized=True`
    all replicas take the statistics of the global batch, at the price of a reduction
    a call.

    Call arguments:
        inputs: float tensor of rank 2 or more, shape `(batch, …, channels)`.
        labels: integer tensor of shape `(batch,)` or `(batch, 1)` with values in
            `[0, num_classes)`, or float tensor of shape `(batch, num_classes)`.
            Values out of range are an error on the CPU under TensorFlow; under XLA
            and on other backends the output is undefined.
        training: whether to use and to gather the statistics of the batch.
        inputs_mask: boolean tensor of the shape of `inputs` without the channels;
            positions where it is False do not count in the statistics.

    Args:
        num_classes: integer, 1 or more.
        axis: the channels' axis. Defaults to -1.
        momentum: `moving = momentum · moving + (1 − momentum) · batch`, in [0, 1].
            Defaults to 0.9, as in the paper.
        epsilon: added to the variance, not negative. Defaults to 2e-5, as in the
            paper.
        synchronized: whether statistics are those of the global batch under
            `tf.distribute` (TensorFlow only). Defaults to False.
        gamma_initializer: initializer of `γ`. Defaults to ones.
        beta_initializer: initializer of `β`. Defaults to zeros.
        **kwargs: `name`, `dtype`, `trainable`.

    State:
        gamma: trainable, shape `(num_classes, channels)`.
        beta: trainable, shape `(num_classes, channels)`.
        normalization: a `keras.layers.BatchNormalization` without scale and shift; it
            holds `moving_mean` and `moving_variance`, shape `(channels,)`.

    Raises:
        TypeError: if an argument is not of its kind.
        ValueError: if one is out of its range, or `labels` have a dtype or shape other
            than the above.

    Example:
    ```python
    layer = ConditionalBatchNormalization(num_classes=10)
    y = layer(images, labels, training=True)
    weights = keras.ops.one_hot(labels, 10)  # or anything between two classes
    same = layer(images, weights)
    ```

    Source: Dumoulin et al., "A Learned Representation For Artistic Style", ICLR 2017,
    https://arxiv.org/abs/1610.07629; in GANs Miyato and Koyama, "cGANs with Projection
    Discriminator", ICLR 2018, https://arxiv.org/abs/1802.05637.
    """

    def __init__(
        self,
        num_classes: int,
        axis: int = -1,
        momentum: float = 0.9,
        epsilon: float = 2e-5,
        synchronized: bool = False,
        gamma_initializer: Any = "ones",
        beta_initializer: Any = "zeros",
        **kwargs: Any,
    ):
        num_classes = values.integer("num_classes", num_classes)
        axis = values.integer("axis", axis, minimum=None)
        momentum = values.number("momentum", momentum, minimum=0, maximum=1)
        epsilon = values.number("epsilon", epsilon, minimum=0)
        synchronized = values.boolean("synchronized", synchronized)
        # Without autocast: a mixed policy would round the weights of an interpolation,
        # and γ and β, to half precision.
        super().__init__(autocast=False, **kwargs)
        self.num_classes = num_classes
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.synchronized = synchronized
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.supports_masking = True
        self.normalization = keras.layers.BatchNormalization(
            axis=axis,
            momentum=momentum,
            epsilon=epsilon,
            center=False,
            scale=False,
            synchronized=synchronized,
            # Its output stays in float32 until γ and β were applied.
            dtype=self._state_dtype,
            trainable=self.trainable,
            name="normalization",
        )

    @property
    def _state_dtype(self) -> str:
        return "float64" if self.compute_dtype == "float64" else "float32"

    def build(self, inputs_shape: Any, labels_shape: Any = None) -> None:
        rank = len(inputs_shape)
        if rank < 2 or not -rank <= self.axis < rank or self.axis % rank == 0:
            raise ValueError(
                "`inputs` must have a batch axis and a channels' axis, axis "
                f"{self.axis}. Received: inputs of shape {tuple(inputs_shape)}"
            )
        channels = inputs_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"The channels of `inputs` (axis {self.axis}) must be known. "
                f"Received: inputs of shape {tuple(inputs_shape)}"
            )
        self.normalization.build(inputs_shape)
        self.gamma = self.add_weight(
            shape=(self.num_classes, channels),
            initializer=self.gamma_initializer,
            name="gamma",
        )
        self.beta = self.add_weight(
            shape=(self.num_classes, channels),
            initializer=self.beta_initializer,
            name="beta",
        )
        self.input_spec = [keras.InputSpec(ndim=rank, axes={self.axis: channels})]
        self.built = True

    def call(
        self,
        inputs: Any,
        labels: Any,
        training: bool | None = None,
        inputs_mask: Any = None,
    ) -> Any:
        outputs = self.normalization(
            ops.cast(inputs, self._state_dtype), training=training, mask=inputs_mask
        )
        shape = [1] * len(inputs.shape)
        shape[0] = -1
        shape[self.axis] = inputs.shape[self.axis]
        gamma = ops.reshape(self._of_class(self.gamma, labels), shape)
        beta = ops.reshape(self._of_class(self.beta, labels), shape)
        return ops.cast(outputs * gamma + beta, self.compute_dtype)

    def _of_class(self, rows: keras.Variable, labels: Any) -> Any:
        """Returns the row of each sample's class, shape `(batch, channels)`."""
        rows = ops.cast(rows, self._state_dtype)
        dtype = keras.backend.standardize_dtype(labels.dtype)
        shape = tuple(labels.shape)
        if "int" in dtype and (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
            labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
            # `take` counts negative ones from the end, and −1 is what data sets mark
            # unlabelled images with.
            labels = ops.where(labels < 0, self.num_classes, labels)
            return ops.take(rows, labels, axis=0)
        if "float" in dtype and len(shape) == 2 and shape[1] == self.num_classes:
            # By the operator: on torch, `ops.matmul` makes float32 of float64.
            return ops.cast(labels, self._state_dtype) @ rows
        raise ValueError(
            "`labels` must be integers of shape `(batch,)` or `(batch, 1)`, or floats "
            f"of shape `(batch, {self.num_classes})`. "
            f"Received: labels of dtype {dtype} and shape {shape}"
        )

    def get_config(self) -> dict[str, Any]:
        serialize = keras.initializers.serialize
        config = {
            "num_classes": self.num_classes,
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
            "gamma_initializer": serialize(self.gamma_initializer),
            "beta_initializer": serialize(self.beta_initializer),
        }
        return {**super().get_config(), **config}
