"""The power iteration of spectral normalization, as pure functions of tensors.

A kernel `W` is a `d_out × d_in` matrix. Keras stores its transpose (the output
channels are the last axis of nearly every kernel), so these functions take
`matrix_t = Wᵀ` with shape `(d_in, d_out)` and spare a transposition.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def unit(x: Tensor, otherwise: Tensor) -> Tensor:
    """Returns `x / ‖x‖`, or `otherwise` where `x` is zero.

    The authors add 1e-12 to the norm. That leaves a vector of zeros for a zero
    kernel, from which no later iteration recovers, and shortens the vectors of a
    kernel of norm near 1e-12. Dividing by the largest entry first is exact for
    largest entries from 1e-37 to 8e37 in float32 (compilers may flush the reciprocal
    of a larger one to zero).

    Args:
        x: vector of any length.
        otherwise: vector of the same length, returned if `x` is all zeros.

    Returns:
        A vector of norm 1 and of the dtype of `x`.
    """
    largest = ops.max(ops.abs(x))
    is_zero = ops.equal(largest, 0)
    scaled = x / ops.where(is_zero, ops.ones_like(largest), largest)
    norm = ops.sqrt(ops.sum(ops.square(scaled)))
    norm = ops.where(is_zero, ops.ones_like(norm), norm)
    return ops.where(is_zero, otherwise, scaled / norm)


def iterate(
    matrix_t: Tensor, u: Tensor, v: Tensor, iterations: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs power iterations and returns the spectral norm that they estimate.

    Each iteration is `v ← Wᵀu / ‖Wᵀu‖`, `u ← Wv / ‖Wv‖`; then `σ = uᵀWv`. No
    gradient flows through `u` and `v`; the gradient of `σ` is `∂σ/∂W = u vᵀ`
    (Miyato et al. 2018, algorithm 1 and equation 12).

    Args:
        matrix_t: the transposed kernel `Wᵀ`, shape `(d_in, d_out)`.
        u: left singular vector so far, shape `(d_out,)`.
        v: right singular vector so far, shape `(d_in,)`.
        iterations: how many iterations; 0 keeps `u` and `v` and only reads `σ`.

    Returns:
        `(u, v, sigma)`, with `sigma` a scalar that carries the gradient to
        `matrix_t`.
    """
    constant = ops.stop_gradient(matrix_t)
    for remaining in reversed(range(iterations)):
        v = unit(matvec(constant, u), otherwise=v)
        if remaining:
            u = unit(_vecmat(v, constant), otherwise=u)
    # Wv serves the last update of u and σ alike: the third matrix-vector
    # product of algorithm 1 would read the whole kernel once more.
    image = _vecmat(v, matrix_t)
    if iterations:
        u = unit(ops.stop_gradient(image), otherwise=u)
    return u, v, ops.sum(u * image)


def matvec(matrix_t: Tensor, u: Tensor) -> Tensor:
    """Returns `Wᵀu`, shape `(d_in,)`.

    Args:
        matrix_t: `Wᵀ`, shape `(d_in, d_out)`.
        u: shape `(d_out,)`.
    """
    # By the operator: on torch, `ops.matmul` makes float32 of float64.
    return ops.squeeze(matrix_t @ ops.expand_dims(u, 1), axis=1)


def _vecmat(v: Tensor, matrix_t: Tensor) -> Tensor:
    """`Wv`, shape `(d_out,)`."""
    return ops.squeeze(ops.expand_dims(v, 0) @ matrix_t, axis=0)
