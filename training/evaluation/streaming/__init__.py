"""Scores as `keras.metrics.Metric`s that stream and merge over replicas."""

from training.evaluation.streaming.frechet_distance import FrechetDistance
from training.evaluation.streaming.inception_score import InceptionScore
from training.evaluation.streaming.kernel_distance import KernelDistance

__all__ = ["FrechetDistance", "InceptionScore", "KernelDistance"]
