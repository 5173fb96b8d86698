"""No normalization of D."""

from training.normalizers.base import Normalizer

NONE = Normalizer("none", "D's layers as they are", bounds=False)
