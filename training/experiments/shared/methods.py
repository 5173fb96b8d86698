"""The methods that the paper compares, as changes to one base preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from training.runs.preset import Preset

_PENALTY = {"normalizer": "none", "gradient_penalty": 10.0}

METHODS: dict[str, dict[str, Any]] = {
    "spectral": {"normalizer": "spectral"},
    "spectral-hinge": {"normalizer": "spectral", "loss": "hinge"},
    "wgan-gp": {**_PENALTY, "loss": "wasserstein"},
    "gan-gp": _PENALTY,
    "weight-clipping": {"normalizer": "weight-clipping"},
    "weight-norm": {"normalizer": "weight-norm"},
    "batch-norm": {"normalizer": "batch-norm"},
    "layer-norm": {"normalizer": "layer-norm"},
    "orthonormal": {"normalizer": "orthonormal"},
    "frobenius": {"normalizer": "frobenius"},
    "spectral-regularization": {"normalizer": "spectral-regularization"},
    "vanilla": {"normalizer": "none"},
}

# What the methods decide, so that an experiment over them has no option for it.
DECIDED = ("normalizer", "loss", "gradient_penalty")


def check(names: Sequence[str], known: Iterable[str] = METHODS) -> None:
    """Raises a ValueError that lists the known methods if one of `names` is none."""
    check_some("methods", names, list(known))


def check_some(argument: str, given: Sequence[Any], known: Collection[Any]) -> None:
    """Raises a ValueError unless there are values, all known and none twice."""
    unknown = [one for one in given if one not in known]
    if unknown or not given or len(set(given)) < len(given):
        raise ValueError(
            f"`{argument}` must be some of {list(known)}, each once. "
            f"Received: {list(given)}"
        )


def apply(base: Preset, method: str) -> Preset:
    """Returns the base with what a method changes."""
    return dataclasses.replace(base, **METHODS[method])
