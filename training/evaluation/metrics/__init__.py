"""Scores as `keras.metrics.Metric`s that stream and merge over replicas."""

from training.evaluation.metrics.frechet_distance import FrechetDistance
from training.evaluation.metrics.inception_score import InceptionScore
from training.evaluation.metrics.kernel_distance import KernelDistance

__all__ = ["FrechetDistance", "InceptionScore", "KernelDistance"]
