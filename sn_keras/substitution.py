"""A scope in which some variables read as other tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class Substitution(keras.StatelessScope):
    """Gives other values to some variables and leaves all others as they are.

    A plain `StatelessScope` holds back every assignment and hides an enclosing
    scope: batch norm statistics and dropout seeds of the wrapped layer would stand
    still, and under JAX, whose trainer runs in a scope of its own, the bias would
    lose its gradient. Here reads and assignments of all variables but the
    substituted ones go where they would go without this scope.
    """

    initialize_variables: bool

    def __init__(self, substitutes: Sequence[tuple[keras.Variable, Any]]):
        super().__init__(collect_losses=True)
        # Not through the parent's constructor: it would cast to the dtype of a
        # surrounding autocast scope, and a float32 layer inside a float16 model
        # would get a kernel that was rounded to float16.
        self.state_mapping = {id(k): value for k, value in substitutes}

    def __enter__(self) -> Substitution:  # noqa: PYI034 (Self needs Python 3.11)
        super().__enter__()
        if self.original_scope is not None:
            self.collect_losses = self.original_scope.collect_losses
        return self

    def get_current_value(self, variable: keras.Variable) -> Any:
        value = self.state_mapping.get(id(variable))
        if value is None and self.original_scope is not None:
            value = self.original_scope.get_current_value(variable)
        return value

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        variable, value = update
        if id(variable) in self.state_mapping:
            raise ValueError(
                f"The wrapped layer assigns to its kernel {variable.path!r} in `call`, "
                "which a reparameterized layer must not do: the kernel is written by "
                "the optimizer alone."
            )
        # Assigned outside the scope at once, not replayed at the end: a value from
        # inside a loop's body is not valid outside of the body.
        initialize = self.initialize_variables
        self.initialize_variables = False
        super().__exit__(None, None, None)
        try:
            variable.assign(value)
        finally:
            super().__enter__()
            self.initialize_variables = initialize

    def add_loss(self, loss: Any) -> None:
        if self.original_scope is not None:
            self.original_scope.add_loss(loss)
        else:
            super().add_loss(loss)
