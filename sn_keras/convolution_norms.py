"""Upper bounds of a convolution's norm as a linear map, in NumPy and float64.

A convolution here is `y[o] = Σ_t W_tᵀ x[o·s + t·d − p]`, with `x` zero outside: taps
`t`, strides `s`, dilation `d`, padding `p`. A transposed convolution is the adjoint of
one, and has its norm.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

# Entries of the largest matrix that is written out, 32 MB, and its shorter side.
_ENTRIES, _SIDE = 4_000_000, 1024
# Points of the frequency grid for each degree of the polynomial.
_POINTS = 16


@dataclasses.dataclass(frozen=True)
class Convolution:
    """One convolution, of one or more groups of channels.

    Attributes:
        kernels: of each group, shape `(k_1, …, k_n, channels_in, channels_out)`.
        strides: `n` integers.
        dilation: `n` integers.
        inputs: positions of `x` along each axis, None where unknown.
        outputs: positions of `y` along each axis, None where unknown.
        padding: `p` along each axis, None if unknown.
    """

    kernels: list[np.ndarray]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    padding: tuple[int, ...] | None

    @property
    def extents(self) -> tuple[int, ...]:
        """How far the kernel reaches along each axis, with its dilation."""
        taps = self.kernels[0].shape[:-2]
        return tuple((k - 1) * d + 1 for k, d in zip(taps, self.dilation, strict=True))


def kernel_bound(convolution: Convolution) -> float:
    """Returns a bound by the kernel's matrices alone, for inputs of any size.

    `y[o]` is the `d_out × d_in` matrix times the patch of `o`. A position of `x` is in
    at most `⌈k / (s / gcd(s, d))⌉` patches along an axis: for its tap, `t·d` has to
    leave a given remainder by `s`. So the norm is at most `√(∏ ⌈k·gcd(s, d)/s⌉) σ₁`.
    Likewise for the adjoint, whose matrix is `channels_in × (taps · channels_out)`,
    and where a position of `y` is in one patch for each tap: `√(∏ k) σ₁`.
    """
    taps = convolution.kernels[0].shape[:-2]
    axes = zip(taps, convolution.strides, convolution.dilation, strict=True)
    patches = math.prod(math.ceil(k / (s // math.gcd(s, d))) for k, s, d in axes)
    bounds = []
    for kernel in convolution.kernels:
        rows = spectral_norm(kernel.reshape(-1, kernel.shape[-1]))
        adjoint = np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
        columns = spectral_norm(adjoint)
        bounds.append(
            min(math.sqrt(patches) * rows, math.sqrt(math.prod(taps)) * columns)
        )
    return max(bounds)


def operator_bound(convolution: Convolution) -> float:
    """Returns the norm where its matrix is small, else a bound of it from above.

    The bound is the norm on a torus that is large enough for no position to be reached
    around it, of which zero padding keeps some rows and columns. There a convolution
    of stride `s` is one of stride 1 over `∏ s` times the channels, and the Fourier
    transform makes of it one matrix of `channels_out × channels_in` a frequency. For
    large or unknown sizes the frequencies are a grid of `N` points an axis: what the
    norm is between them is at most `1 / cos(π n / N)` times as large, for a polynomial
    of degree `n` (M. Riesz 1914; Ehlich and Zeller 1964).
    """
    return max(
        _exact(convolution, kernel)
        if _is_small(convolution, kernel)
        else _on_torus(convolution, kernel)
        for kernel in convolution.kernels
    )


def spectral_norm(matrix: np.ndarray) -> float:
    """Returns the largest singular value."""
    return float(np.linalg.svd(matrix, compute_uv=False)[0])


def _is_small(convolution: Convolution, kernel: np.ndarray) -> bool:
    sizes = (*convolution.inputs, *convolution.outputs)
    if convolution.padding is None or None in sizes:
        return False
    channels_in, channels_out = kernel.shape[-2:]
    columns = math.prod(n or 0 for n in convolution.inputs) * channels_in
    rows = math.prod(n or 0 for n in convolution.outputs) * channels_out
    return rows * columns <= _ENTRIES and min(rows, columns) <= _SIDE


def _exact(convolution: Convolution, kernel: np.ndarray) -> float:
    inputs = tuple(int(n or 0) for n in convolution.inputs)
    outputs = tuple(int(n or 0) for n in convolution.outputs)
    channels_in, channels_out = kernel.shape[-2:]
    positions = math.prod(outputs), math.prod(inputs)
    matrix = np.zeros((positions[0], channels_out, positions[1], channels_in))
    for tap in np.ndindex(*kernel.shape[:-2]):
        reached, reaching = [], []
        for axis, t in enumerate(tap):
            o = np.arange(outputs[axis])
            x = o * convolution.strides[axis] + t * convolution.dilation[axis]
            x = x - (convolution.padding or ())[axis]
            inside = (x >= 0) & (x < inputs[axis])
            reached.append(o[inside])
            reaching.append(x[inside])
        rows = np.ravel_multi_index(np.meshgrid(*reached, indexing="ij"), outputs)
        columns = np.ravel_multi_index(np.meshgrid(*reaching, indexing="ij"), inputs)
        matrix[rows.ravel(), :, columns.ravel(), :] += kernel[tap].T
    return _largest(matrix.reshape(positions[0] * channels_out, -1)[None])


def _on_torus(convolution: Convolution, kernel: np.ndarray) -> float:
    sizes, factor = [], 1.0
    strides = convolution.strides
    blocks = [
        math.ceil(e / s) for e, s in zip(convolution.extents, strides, strict=True)
    ]
    for length, outputs in zip(blocks, convolution.outputs, strict=True):
        degree = length // 2  # around the middle tap
        grid = max(_POINTS * degree, 1)
        if outputs is not None and outputs + length - 1 <= grid:
            sizes.append(outputs + length - 1)
        else:
            sizes.append(grid)
            factor /= math.cos(math.pi * degree / grid)
    phases = _phases(kernel, strides, convolution.dilation, blocks)
    axes = tuple(range(len(blocks)))
    frequencies = np.fft.fftn(phases, s=sizes, axes=axes)
    # A real kernel has the conjugate matrix at the opposite frequency.
    half = frequencies[: sizes[0] // 2 + 1]
    return factor * _largest(half.reshape(-1, *frequencies.shape[-2:]))


def _phases(
    kernel: np.ndarray,
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    blocks: list[int],
) -> np.ndarray:
    """Returns the kernel as one of stride 1, shape `(*blocks, ∏ s · in, out)`."""
    n = len(blocks)
    lengths = [b * s for b, s in zip(blocks, strides, strict=True)]
    spread = np.zeros((*lengths, *kernel.shape[-2:]))
    taps = zip(kernel.shape[:-2], dilation, strict=True)
    spread[tuple(slice(0, (k - 1) * d + 1, d) for k, d in taps)] = kernel
    split = [size for pair in zip(blocks, strides, strict=True) for size in pair]
    spread = spread.reshape(*split, *kernel.shape[-2:])
    order = [*range(0, 2 * n, 2), *range(1, 2 * n, 2), 2 * n, 2 * n + 1]
    return spread.transpose(order).reshape(*blocks, -1, kernel.shape[-1])


def _largest(matrices: np.ndarray) -> float:
    """Returns the largest singular value of a stack of matrices, rounded up."""
    # By the eigenvalues of the smaller Gram matrix, exact to rounding: squaring it over
    # and over (Gram iteration) ends at a bound above the norm.
    rows, columns = matrices.shape[-2:]
    adjoint = np.swapaxes(matrices, -1, -2).conj()
    gram = matrices @ adjoint if rows <= columns else adjoint @ matrices
    largest = float(np.linalg.eigvalsh(gram)[..., -1].max())
    return math.sqrt(max(largest, 0.0)) * (1 + 1e-9)
