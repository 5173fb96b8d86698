"""Weight clipping (Arjovsky et al. 2017), on D's convolutions alone, c = 0.01."""

from training.deferred import sn_keras
from training.normalizers.base import Normalizer

WEIGHT_CLIPPING = Normalizer(
    "weight-clipping",
    "kernels of D's convolutions clipped to [-0.01, 0.01] after each step",
    layer_kwargs={"kernel_constraint": lambda: sn_keras.WeightClip()},
    convolutions_only=True,
    bounds=False,  # the last layer is left as it is
)
