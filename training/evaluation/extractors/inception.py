"""The Inception extractor, from a file that the user names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from training.evaluation.extractors.feature_extractor import (
    FeatureExtractor,
    ScoreNames,
    sha256_of_file,
    to_rgb,
)
from training.evaluation.extractors.inception_network import (
    IMAGE_SIZE,
    inception_network,
)
from training.evaluation.extractors.inception_weights import load_state, read_state
from training.evaluation.extractors.tensorflow_graphs import (
    Network,
    load_frozen_graph,
    load_saved_model,
)

TORCH_WEIGHTS = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
FROZEN_GRAPH = (
    "http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
)


class InceptionExtractor(FeatureExtractor):
    """pool3 features and bias-free logits of the 2015 Inception graph.

    Images are resized to 299 px by TensorFlow 1's bilinear interpolation, which samples
    at i·in/out without half-pixel centres, then scaled to (x − 128)/128. Grey images
    are repeated to three channels. Nothing is downloaded.

    Args:
        path: one of

            - torch-fidelity's weights, `weights-inception-2015-12-05-6726825d.pth`
              (torch needed to read them), or the same entries as `.npz`;
            - the frozen graph `classify_image_graph_def.pb` (or TF-GAN's);
            - a SavedModel's folder: its default signature takes images and returns
              `features` (or `pool_3`) and `logits`. A uint8 input is given the images
              as they are, a float input the resized and scaled ones.

    Raises:
        FileNotFoundError: if there is no such file; says where they are published.
        ImportError: if the file is a `.pth` and torch isn't installed.
        ValueError: if the file isn't one of the above or is damaged.

    Example:

    <!-- not run: the file must be downloaded -->
    ```python
    extractor = InceptionExtractor("weights-inception-2015-12-05-6726825d.pth")
    features, logits = extractor(images)  # uint8, (n, height, width, 3)
    ```

    Source:
        torch-fidelity 0.4's feature_extractor_inceptionv3, whose features these are up
        to float32 rounding.
    """

    name = "inception"
    scores = ScoreNames(frechet="FID", inception="IS", kernel="KID")
    preprocessing = "TF1 bilinear resize to 299 px (no half-pixel centres), (x-128)/128"

    def __init__(self, path: str | Path) -> None:
        path = Path(path).expanduser()
        if not path.exists():
            raise FileNotFoundError(
                f"`path` must name the 2015 Inception network. Received: {path}, which "
                f"doesn't exist. Download {TORCH_WEIGHTS} and pass the .pth file, or "
                f"{FROZEN_GRAPH} and pass the classify_image_graph_def.pb inside it: "
                "--inception FILE on the command line."
            )
        digest = sha256_of_file(path)
        promised = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
        if promised and not digest.startswith(promised[1]):
            raise ValueError(
                f"`path` must be a whole file: the SHA-256 of {path.name} must start "
                f"with {promised[1]}. Received: {digest[:8]}…; download it again"
            )
        self.identity = f"inception-2015-12-05 {path.name} sha256:{digest}"
        self._network, self._takes_uint8 = _load(path)

    def compute(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns features (n, 2048) and logits (n, 1008)."""
        images = to_rgb(images)
        return self._network(images if self._takes_uint8 else preprocess(images))


def preprocess(images: tf.Tensor) -> tf.Tensor:
    """Resizes like TensorFlow 1 to 299 px and scales to (x − 128)/128, float32."""
    resized = tf.raw_ops.ResizeBilinear(
        images=tf.cast(images, tf.float32),
        size=[IMAGE_SIZE, IMAGE_SIZE],
        align_corners=False,
        half_pixel_centers=False,
    )
    return (resized - 128.0) / 128.0


def _load(path: Path) -> tuple[Callable | Network, bool]:
    if path.is_dir():
        return load_saved_model(path)
    if path.suffix == ".pb":
        return load_frozen_graph(path), False
    if path.suffix not in (".pth", ".npz"):
        raise ValueError(
            "`path` must be a .pth, .npz or .pb file or a SavedModel's folder. "
            f"Received: {path}"
        )
    state = read_state(path)
    network = inception_network()
    load_state(network, state)

    def run(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tuple(network(images, training=False))

    return run, False
