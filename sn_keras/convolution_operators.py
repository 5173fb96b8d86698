"""A convolution as the linear map that it is, from images of one size to images.

The norm of a kernel's `d_out × d_in` matrix is not that of the convolution, which also
depends on strides, padding and the size of the input. The power iteration of
`sn_keras.power_iteration` finds that one from the convolution and its adjoint, on
images of batch size one (Farnia et al. 2019, https://arxiv.org/abs/1811.07457; Gouk et
al. 2021, https://arxiv.org/abs/1804.04368).

With `s` the strides, `d` the dilation and `p` zeros put before `x`, a convolution is
`A: y[i] = Σ_j W[j] x[s·i + d·j − p]`. A transposed one is the adjoint `Aᵀ` of such a
map from its output to its input.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sn_keras.kernels import Kernel

Size = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Convolution:
    """`A`, and its adjoint, between images of shape `(1, *size, channels)`.

    Channels come last whatever the layer's `data_format`: the norm is the same.

    Attributes:
        v_shape: shape of the images that it takes.
        u_shape: shape of the images that it makes.
        kernel_size: integers, one a spatial axis, as all below.
        strides: 1 or more.
        dilation: 1 or more.
        before: the zeros put before an input.
    """

    v_shape: Size
    u_shape: Size
    kernel_size: Size
    strides: Size
    dilation: Size
    before: Size

    def weight(self, value: Any) -> Any:
        """Returns a kernel as one of shape `(*kernel_size, inputs, outputs)`."""
        groups = self.v_shape[-1] // value.shape[-2]
        if groups == 1:
            return value
        # With zeros between the groups: as large as an ordinary kernel, and Keras on
        # TensorFlow's CPU would compile a convolution in groups anew at every call.
        shape = (*self.kernel_size, -1, groups, value.shape[-1] // groups)
        blocks = ops.expand_dims(ops.reshape(value, shape), -4)
        which = ops.reshape(ops.eye(groups, dtype=value.dtype), (groups, 1, groups, 1))
        channels = (self.v_shape[-1], self.u_shape[-1])
        return ops.reshape(blocks * which, (*self.kernel_size, *channels))

    def apply(self, weight: Any, v: Any) -> Any:
        """Returns `Av`."""
        return self._convolve(weight, _pad(v, self.before, self.after))

    def adjoint(self, weight: Any, u: Any) -> Any:
        """Returns `Aᵀu`."""
        x = self._transpose(weight, u)
        # Of a kernel that is smaller than the strides, zeros are left behind.
        read = (slice(None), *(slice(n) for n in self._padded))
        x = x[read]
        return _pad(x, [-n for n in self.before], [-n for n in self.after])

    def _convolve(self, weight: Any, x: Any) -> Any:
        return ops.conv(
            x, weight, self.strides, "valid", "channels_last", self.dilation
        )

    def _transpose(self, weight: Any, u: Any) -> Any:
        if max(self.dilation) == 1:
            return ops.conv_transpose(
                u, weight, self.strides, "valid", None, "channels_last"
            )
        # TensorFlow's CPU has no transposed convolution with a dilation.
        flipped = ops.flip(weight, axis=tuple(range(len(self.kernel_size))))
        u = self._spread(u)
        return ops.conv(
            u, ops.swapaxes(flipped, -1, -2), 1, "valid", "channels_last", self.dilation
        )

    def _spread(self, u: Any) -> Any:
        """Puts zeros between and around: the adjoint is a convolution of these."""
        sizes = u.shape[1:-1]
        u = ops.reshape(u, (1, *(n for size in sizes for n in (size, 1)), u.shape[-1]))
        zeros = [pair for s in self.strides for pair in ((0, 0), (0, s - 1))]
        u = ops.pad(u, [(0, 0), *zeros, (0, 0)])
        axes = list(zip(sizes, self.strides, self.around, strict=True))
        u = ops.reshape(u, (1, *(n * s for n, s, _ in axes), u.shape[-1]))
        return _pad(u, self.around, [around - (s - 1) for _, s, around in axes])

    @property
    def around(self) -> list[int]:
        """How far a kernel reaches beyond a pixel: `d · (k − 1)`."""
        axes = zip(self.kernel_size, self.dilation, strict=True)
        return [d * (k - 1) for k, d in axes]

    @property
    def _padded(self) -> list[int]:
        """The size of a padded input, of which nothing is left over."""
        axes = zip(self.u_shape[1:-1], self.strides, self.around, strict=True)
        return [(out - 1) * s + around + 1 for out, s, around in axes]

    @property
    def after(self) -> list[int]:
        """The zeros put after an input; negative if its end is not read."""
        axes = zip(self._padded, self.v_shape[1:-1], self.before, strict=True)
        return [padded - size - before for padded, size, before in axes]


class DepthwiseConvolution(Convolution):
    """As `Convolution`, with a kernel of shape `(*kernel_size, inputs, multiplier)`."""

    def weight(self, value: Any) -> Any:
        return value

    def _convolve(self, weight: Any, x: Any) -> Any:
        return ops.depthwise_conv(
            x, weight, self.strides, "valid", "channels_last", self.dilation
        )

    def _transpose(self, weight: Any, u: Any) -> Any:
        # Every channel of the output by itself, and then the sum over those that were
        # made of one channel of the input.
        flipped = ops.flip(weight, axis=tuple(range(len(self.kernel_size))))
        flipped = ops.reshape(flipped, (*self.kernel_size, u.shape[-1], 1))
        x = ops.depthwise_conv(
            self._spread(u), flipped, 1, "valid", "channels_last", self.dilation
        )
        return ops.sum(ops.reshape(x, (*x.shape[:-1], *weight.shape[-2:])), axis=-1)


@dataclasses.dataclass(frozen=True)
class Adjoint:
    """The adjoint of a linear map, which a transposed convolution is."""

    of: Convolution

    @property
    def v_shape(self) -> Size:
        """Shape of the images that it takes."""
        return self.of.u_shape

    @property
    def u_shape(self) -> Size:
        """Shape of the images that it makes."""
        return self.of.v_shape

    def weight(self, value: Any) -> Any:
        """Returns a kernel as it is, of shape `(*kernel_size, outputs, inputs)`."""
        return self.of.weight(value)

    def apply(self, weight: Any, v: Any) -> Any:
        """Returns `Aᵀv`."""
        return self.of.adjoint(weight, v)

    def adjoint(self, weight: Any, u: Any) -> Any:
        """Returns `Au`."""
        return self.of.apply(weight, u)


_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_DEPTHWISE = (
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
CONVOLUTIONS: tuple[type, ...] = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    *_TRANSPOSED,
    *_DEPTHWISE,
)


def convolution(kernel: Kernel, size: Size) -> Convolution | Adjoint:
    """Returns the linear map that a layer with a kernel is, without its bias.

    Args:
        kernel: the kernel of one of `CONVOLUTIONS`; of a separable one, the depthwise
            kernel, and the map is the depthwise part.
        size: of the layer's input, one positive integer a spatial axis.
    """
    layer: Any = kernel.owner
    rank = len(size)
    taken, made = kernel.shape[-2:]
    if isinstance(layer, _DEPTHWISE):
        made *= taken
    elif isinstance(layer, _TRANSPOSED):
        taken, made = made, taken
    else:
        taken *= layer.groups
    channels_first = layer.data_format == "channels_first"
    shape = (1, taken, *size) if channels_first else (1, *size, taken)
    shape = layer.compute_output_shape(shape)
    output_size = tuple(shape[2:] if channels_first else shape[1:-1])
    v_shape, u_shape = (1, *size, taken), (1, *output_size, made)
    if isinstance(layer, _TRANSPOSED):
        v_shape, u_shape = u_shape, v_shape
    kind = DepthwiseConvolution if isinstance(layer, _DEPTHWISE) else Convolution
    strides = standardized(layer.strides, rank)
    dilation = standardized(layer.dilation_rate, rank)
    of = kind(v_shape, u_shape, kernel.shape[:rank], strides, dilation, (0,) * rank)
    of = dataclasses.replace(of, before=_zeros_before(layer.padding, of))
    return Adjoint(of) if isinstance(layer, _TRANSPOSED) else of


def standardized(value: int | Sequence[int], rank: int) -> Size:
    """Returns one integer an axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _zeros_before(padding: str, of: Convolution) -> Size:
    if padding == "causal":
        return tuple(of.around)
    # Without zeros before, those after are all that there are. Keras puts the smaller
    # half before, as TensorFlow does.
    zeros = [max(n, 0) // 2 for n in of.after]
    return tuple(zeros) if padding == "same" else (0,) * len(zeros)


def _pad(x: Any, before: Sequence[int], after: Sequence[int]) -> Any:
    """Puts zeros around the spatial axes; a negative number takes away."""
    if not any((*before, *after)):
        return x
    axes = list(zip(before, after, x.shape[1:-1], strict=True))
    taken = (slice(max(-b, 0), n - max(-a, 0)) for b, a, n in axes)
    inside = (slice(None), *taken)
    zeros = [(max(b, 0), max(a, 0)) for b, a, _ in axes]
    return ops.pad(x[inside], [(0, 0), *zeros, (0, 0)])
