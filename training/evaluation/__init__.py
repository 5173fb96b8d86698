"""Scores of generated images: pure functions on features, metrics that stream, runs.

The scores are here; `training.evaluation.metrics` has their streaming forms,
`training.evaluation.extractors` what makes features of images, and
`training.evaluation.callbacks` scores in `fit`.
"""

from training.evaluation.density_coverage import density_coverage
from training.evaluation.frechet import frechet_distance, gaussian_distance
from training.evaluation.inception_score import inception_score
from training.evaluation.intra_fid import intra_frechet_distance
from training.evaluation.kid import kernel_distance
from training.evaluation.ms_ssim import intra_ms_ssim
from training.evaluation.precision_recall import precision_recall
from training.evaluation.statistics import GaussianStatistics, gaussian_statistics

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
