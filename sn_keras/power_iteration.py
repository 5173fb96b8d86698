"""The power iteration of spectral normalization, as pure functions of tensors.

It needs of a linear map `W` no more than `v ↦ Wv` and its adjoint `u ↦ Wᵀu`. For a
kernel seen as a `d_out × d_in` matrix these are the two products with it. Keras stores
the transpose (the output channels are the last axis of nearly every kernel), so the
`Matrix` here takes `Wᵀ` with shape `(d_in, d_out)` and spares a transposition.
"""

from __future__ import annotations

from typing import Any, Protocol

from keras import ops

Tensor = Any


class LinearMap(Protocol):
    """A map that is linear in the vector and in the weight."""

    def apply(self, weight: Tensor, v: Tensor) -> Tensor:
        """Returns `Wv`."""

    def adjoint(self, weight: Tensor, u: Tensor) -> Tensor:
        """Returns `Wᵀu`."""


class Matrix:
    """A matrix as a linear map; `weight` is `Wᵀ`, shape `(d_in, d_out)`."""

    def apply(self, weight: Tensor, v: Tensor) -> Tensor:
        """Returns `Wv`, shape `(d_out,)`, of `v` of shape `(d_in,)`."""
        # By the operator: on torch, `ops.matmul` makes float32 of float64.
        return ops.squeeze(ops.expand_dims(v, 0) @ weight, axis=0)

    def adjoint(self, weight: Tensor, u: Tensor) -> Tensor:
        """Returns `Wᵀu`, shape `(d_in,)`, of `u` of shape `(d_out,)`."""
        return ops.squeeze(weight @ ops.expand_dims(u, 1), axis=1)


MATRIX = Matrix()


def unit(x: Tensor, otherwise: Tensor) -> Tensor:
    """Returns `x / ‖x‖`, or `otherwise` where `x` is zero.

    The authors add 1e-12 to the norm. That leaves a vector of zeros for a zero
    kernel, from which no later iteration recovers, and shortens the vectors of a
    kernel of norm near 1e-12. Dividing by the largest entry first is exact for
    largest entries from 1e-37 to 8e37 in float32 (compilers may flush the reciprocal
    of a larger one to zero).

    Args:
        x: tensor of any shape.
        otherwise: tensor of the same shape, returned if `x` is all zeros.

    Returns:
        A tensor of Euclidean norm 1 and of the dtype of `x`.
    """
    largest = ops.max(ops.abs(x))
    is_zero = ops.equal(largest, 0)
    scaled = x / ops.where(is_zero, ops.ones_like(largest), largest)
    norm = ops.sqrt(ops.sum(ops.square(scaled)))
    norm = ops.where(is_zero, ops.ones_like(norm), norm)
    return ops.where(is_zero, otherwise, scaled / norm)


def iterate(
    weight: Tensor,
    u: Tensor,
    v: Tensor,
    iterations: int,
    linear_map: LinearMap = MATRIX,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs power iterations and returns the spectral norm that they estimate.

    Each iteration is `v ← Wᵀu / ‖Wᵀu‖`, `u ← Wv / ‖Wv‖`; then `σ = ⟨u, Wv⟩`. No
    gradient flows through `u` and `v`; the gradient of `σ` is that of `⟨u, Wv⟩` with
    both fixed, `∂σ/∂W = u vᵀ` for a matrix (Miyato et al. 2018, algorithm 1 and
    equation 12).

    Args:
        weight: what `linear_map` takes as its weight: for a matrix `Wᵀ`, shape
            `(d_in, d_out)`.
        u: left singular vector so far, of the shape of `Wv`: `(d_out,)`.
        v: right singular vector so far, of the shape of `Wᵀu`: `(d_in,)`.
        iterations: how many iterations; 0 keeps `u` and `v` and only reads `σ`.
        linear_map: how `weight` acts. Defaults to a matrix.

    Returns:
        `(u, v, sigma)`, with `sigma` a scalar that carries the gradient to `weight`.
    """
    constant = ops.stop_gradient(weight)
    for remaining in reversed(range(iterations)):
        v = unit(linear_map.adjoint(constant, u), otherwise=v)
        if remaining:
            u = unit(linear_map.apply(constant, v), otherwise=u)
    # Wv serves the last update of u and σ alike: the third matrix-vector
    # product of algorithm 1 would read the whole kernel once more.
    image = linear_map.apply(weight, v)
    if iterations:
        u = unit(ops.stop_gradient(image), otherwise=u)
    return u, v, ops.sum(u * image)
