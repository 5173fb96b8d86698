"""Scores as `keras.metrics.Metric`s that stream and merge over replicas."""

from training.evaluation.streaming.frechet_distance import FrechetDistance
from training.evaluation.streaming.inception_score import InceptionScore

__all__ = ["FrechetDistance", "InceptionScore"]
