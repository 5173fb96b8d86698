"""Scores of generated images: pure functions on features, metrics that stream, runs.

The scores are here; `training.evaluation.streaming` has their streaming forms,
`training.evaluation.extractors` what makes features of images, and
`training.evaluation.callbacks` scores in `fit`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.evaluation.scores.density_coverage import density_coverage
    from training.evaluation.scores.frechet_distance import (
        frechet_distance,
        gaussian_distance,
    )
    from training.evaluation.scores.inception_score import inception_score
    from training.evaluation.scores.intra_frechet_distance import (
        intra_frechet_distance,
    )
    from training.evaluation.scores.kernel_distance import kernel_distance
    from training.evaluation.scores.ms_ssim import intra_ms_ssim
    from training.evaluation.scores.precision_recall import precision_recall
    from training.evaluation.scores.statistics import (
        GaussianStatistics,
        gaussian_statistics,
    )

# The files in `scores`.
_HOMES = {
    "GaussianStatistics": "statistics",
    "density_coverage": "density_coverage",
    "frechet_distance": "frechet_distance",
    "gaussian_distance": "frechet_distance",
    "gaussian_statistics": "statistics",
    "inception_score": "inception_score",
    "intra_frechet_distance": "intra_frechet_distance",
    "intra_ms_ssim": "ms_ssim",
    "kernel_distance": "kernel_distance",
    "precision_recall": "precision_recall",
}


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: a command line needs none of them.
    if name not in _HOMES:
        raise AttributeError(f"module 'training.evaluation' has no attribute {name!r}")
    home = importlib.import_module(f"training.evaluation.scores.{_HOMES[name]}")
    return getattr(home, name)


__all__ = [
    "GaussianStatistics",
    "density_coverage",
    "frechet_distance",
    "gaussian_distance",
    "gaussian_statistics",
    "inception_score",
    "intra_frechet_distance",
    "intra_ms_ssim",
    "kernel_distance",
    "precision_recall",
]
