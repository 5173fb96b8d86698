"""Feature extractors behind one interface: uint8 images → features, logits."""

from training.evaluation.extractors.classifier import (
    ClassifierExtractor,
    cached_classifier,
)
from training.evaluation.extractors.feature_extractor import (
    FeatureExtractor,
    ScoreNames,
)
from training.evaluation.extractors.inception import InceptionExtractor
from training.evaluation.extractors.keras_model import KerasExtractor

__all__ = [
    "ClassifierExtractor",
    "FeatureExtractor",
    "InceptionExtractor",
    "KerasExtractor",
    "ScoreNames",
    "cached_classifier",
]
