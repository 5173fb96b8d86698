"""Spectral normalization (Miyato, Kataoka, Koyama, Yoshida; ICLR 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sn_keras import values
from sn_keras.keras_private import flatten_layers
from sn_keras.norm_division import nonzero, reciprocal
from sn_keras.power_iterated import PowerIterated


@keras.saving.register_keras_serializable(package="sn_keras")
class SpectralNormalization(PowerIterated):
    """Runs a layer with its kernel divided by the kernel's spectral norm.

    `W_SN = W / σ(W)`, with `σ(W)` the largest singular value of the kernel seen as a
    `d_out × d_in` matrix (see `sn_keras.kernel_registry` for the matrix of each kind of
    layer). `σ` is estimated by the power method: a training call runs
    `v ← Wᵀu / ‖Wᵀu‖`, `u ← Wv / ‖Wv‖` and keeps both vectors for the next call, then
    `σ = uᵀWv`. `u` and `v` are constants for the gradient, which flows through `W`
    in the numerator and in `σ`: with `G = ∂L/∂W_SN`,

    `∂L/∂W = (G − ⟨G, W_SN⟩ u vᵀ) / σ`.

    With `norm_multiplier=c` the kernel runs with the norm `c`: `W_SN = c · W / σ(W)`,
    with the gradient `(c · G − ⟨G, W_SN⟩ u vᵀ) / σ`. With `only_above=True` it runs
    with at most that, `W_SN = W · min(1, c / σ(W))`: a kernel whose norm is below `c`
    is left alone and has the gradient `G`, while the power iteration goes on. (The
    TensorFlow Model Garden's `norm_multiplier` is this one with `only_above=True`.)

    With `norm="operator"` a convolution is divided by the norm that it has as a map of
    images, `σ = max ‖W ∗ v‖ / ‖v‖`. The iteration is `v ← W ∗ᵀ u / ‖W ∗ᵀ u‖`,
    `u ← W ∗ v / ‖W ∗ v‖`, with `∗` the layer's convolution without its bias, `∗ᵀ` its
    adjoint and `u`, `v` images. The gradient flows through `σ = ⟨u, W ∗ v⟩`. Both parts
    of a separable convolution are normalized, each by itself.

    The kernel itself is never written by a forward pass: it is the trainable
    parameter, and what optimizers, regularizers, constraints and weight averages
    see. `keras.layers.SpectralNormalization` and `tfa.layers.SpectralNormalization`
    overwrite it, and so compute the gradient of another function.

    A call with `training=True` advances `u` and `v`. Any other call, also one with
    `training=None` outside of a model's training step, is inference and changes
    nothing: it reads `σ = uᵀWv` from the current kernel. A layer with several
    kernels (attention, recurrent, separable convolution) normalizes each by itself,
    with one iteration an outer call. Biases are left alone. A kernel of zeros stays
    a kernel of zeros. `u` and `v` are advanced also while `trainable` is false.

    Args:
        layer: the `keras.layers.Layer` to wrap, built or not: any that has a kernel.
        power_iterations: iterations per training call, 1 or more. Defaults to 1, as
            in the paper.
        gamma: whether to multiply by a trainable scalar: the kernel is then
            `γ · W_SN`. `γ` starts as the exact `σ(W)` (over `norm_multiplier`) and `u`
            as its singular vector, so that the layer starts as the plain one
            (appendix E).
        seed: integer or None, seed of the random start vectors.
        norm_multiplier: the norm `c` that the kernel runs with, above 0. Defaults to
            1.0.
        only_above: whether kernels of a norm below `norm_multiplier` are left alone.
            Defaults to False.
        norm: "kernel" for the norm of the kernel's matrix, as in the paper, or
            "operator" for the convolution's own: that of the linear map from the
            layer's input to its output, which depends on strides, padding and the
            size of the input. Dense layers, Embedding and the projections of attention
            have the same of both. Recurrent layers and classes of your own have no
            "operator". Defaults to "kernel".
        input_size: for "operator", the size that the norm is taken at: an integer, or
            one a spatial axis. Defaults to None, that which the layer is built for;
            a convolution refuses others, but for one inside a composite layer, whose
            norm on them may be larger.
        kernels: names of the kernels that are normalized, or of layers inside the
            layer that hold them: `["recurrent_kernel"]` of a recurrent layer,
            `["query", "key"]` of attention. Defaults to None, all of them.
        **kwargs: `name`, `trainable`, and `dtype`, which becomes the wrapped layer's.

    State (a pair a kernel, not trainable, float32, or float64 for a float64 kernel):
        u: left singular vector, shape `(d_out,)`; of a convolution as an operator an
            image of its output, `(1, *size, channels)`.
        v: right singular vector, shape `(d_in,)`, or an image of its input.
        gamma: with `gamma=True`, the multiplier, a scalar, trainable.

    Raises:
        TypeError: if `layer` is no layer, or another argument not of its kind.
        ValueError: if `layer` has no kernel, or none of the names in `kernels`; if it
            is quantised, has LoRA enabled, was created in a `keras.RematScope`, or is
            or holds a `SpectralNormalization`; if an argument is out of its range. In
            a call with `training=True` inside of `keras.remat`, or in a loop of JAX's:
            `u` and `v` can't be kept there.

    Example:
    ```python
    layer = SpectralNormalization(keras.layers.Conv2D(64, 3, padding="same"))
    features = layer(images, training=True)
    layer.sigma()              # the spectral norm that was divided by
    layer.normalized_kernel()  # shape (3, 3, channels, 64)

    at_most = SpectralNormalization(
        keras.layers.Dense(10), norm_multiplier=0.9, only_above=True
    )
    of_the_map = SpectralNormalization(keras.layers.Conv2D(64, 3), norm="operator")
    of_the_map(images)  # its `sigma()` is the norm for images of this size
    ```

    Source: Miyato et al., "Spectral Normalization for Generative Adversarial
    Networks", ICLR 2018, https://arxiv.org/abs/1802.05957, algorithm 1 and
    equation 12. Where we deviate: the start vector gets 15 iterations when the layer
    is built (the authors: none), and a vector is divided by its norm, not by the norm
    plus 1e-12.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        power_iterations: int = 1,
        gamma: bool = False,
        seed: int | None = None,
        norm_multiplier: float = 1.0,
        only_above: bool = False,
        norm: str = "kernel",
        input_size: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        multiplier = values.number("norm_multiplier", norm_multiplier, above=0)
        only_above = values.boolean("only_above", only_above)
        super().__init__(
            layer,
            power_iterations=power_iterations,
            seed=seed,
            norm=norm,
            input_size=input_size,
            gamma=gamma,
            **kwargs,
        )
        self.norm_multiplier = multiplier
        self.only_above = only_above
        self._refuse_nested()

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        # Some layers make what they hold when they are built.
        self._refuse_nested()

    def _refuse_nested(self) -> None:
        for inner in flatten_layers(self.layer):
            if isinstance(inner, SpectralNormalization):
                raise ValueError(
                    "`layer` must not be or hold a SpectralNormalization: its kernel "
                    "would be normalized twice, at twice the cost. "
                    f"Received: layer={self.layer!r}, which has {inner.name!r}"
                )

    def scale(self, norm: Any) -> Any:
        scale = self.norm_multiplier * reciprocal(norm)
        if not self.only_above:
            return scale
        return ops.where(norm > self.norm_multiplier, scale, ops.ones_like(norm))

    def initial_gamma(self, norm: Any) -> Any:
        gamma = nonzero(norm) / self.norm_multiplier
        return ops.maximum(gamma, ops.ones_like(gamma)) if self.only_above else gamma

    def get_config(self) -> dict[str, Any]:
        config = {
            "norm_multiplier": self.norm_multiplier,
            "only_above": self.only_above,
        }
        return {**super().get_config(), **config}
