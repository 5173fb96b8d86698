"""How far an exported file is from Keras on the same latents (and labels)."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from export.formats import names
from export.reading.loading import Generator
from export.verification import checks, isolation, scores

# The least PSNR in dB, over the width of the images' range, at which a file counts as
# a faithful copy. float32 leaves room for another order of summation and no more; the
# others are below what a trained generator of the paper reaches (see docs/export.md),
# and well above what a wrong weight, layout or range gives (under 20 dB).
BOUNDS = {"float32": 90.0, "float16": 55.0, "int8-dynamic": 28.0, "int8-full": 24.0}

# The largest relative change of a classifier's score.
SCORE_BOUNDS = {
    "float32": 0.001,
    "float16": 0.005,
    "int8-dynamic": 0.05,
    "int8-full": 0.1,
}

# Images that a file is compared on: less of large ones, to bound the time.
_MOST_IMAGES = 64
_PIXELS = 64 * 64 * 64
_CHUNK = 16
# Images that a classifier judges.
_SCORED = 512


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far an exported file is from Keras on the same latents.

    Attributes:
        file: name of the file or folder.
        format: `saved_model`, `litert` or `onnx`.
        precision: of the weights.
        bytes: size on disk.
        images: number of images compared.
        largest: largest absolute difference, in the units of the images.
        mean: mean absolute difference.
        psnr: peak signal-to-noise ratio in dB, infinite if all are equal.
        bound: the least PSNR that passes.
        own_psnr: the same against what the model itself gives, where that computes
            in half precision and files are compared with its float32 copy; else None.
        score: how a classifier's score changes; None without a classifier.
    """

    file: str
    format: str
    precision: str
    bytes: int
    images: int
    largest: float
    mean: float
    psnr: float
    bound: float
    own_psnr: float | None = None
    score: scores.ScoreChange | None = None

    @property
    def passed(self) -> bool:
        """Whether the file is within its bounds."""
        return self.psnr >= self.bound and (self.score is None or self.score.passed)


def psnr(images: np.ndarray, reference: np.ndarray, width: float = 2.0) -> float:
    """Returns `10 · log10(width² / mean squared difference)`.

    Args:
        images: of any shape.
        reference: what they should be.
        width: of the range that images lie in. Defaults to that of [−1, 1].
    """
    error = np.mean(np.square(images.astype("float64") - reference))
    return 10 * math.log10(width**2 / error) if error > 0 else math.inf


@dataclasses.dataclass(frozen=True)
class Reference:
    """What Keras makes of some latents.

    Attributes:
        inputs: latents (and labels).
        images: one for each.
        output_range: the values of black and of white.
        compared: how many of them a file is run on with every batch size; on the
            others with the largest alone.
        own: what the model itself makes of them, if it computes in half precision.
        classifier: judges the images; None without one.
        logits: the classifier's, of each image.
    """

    inputs: dict[str, np.ndarray]
    images: np.ndarray
    output_range: tuple[float, float]
    compared: int
    own: np.ndarray | None = None
    classifier: scores.Classifier | None = None
    logits: np.ndarray | None = None

    @property
    def width(self) -> float:
        """Width of the range that images lie in."""
        return self.output_range[1] - self.output_range[0]


def reference(
    generator: Generator,
    batch_sizes: Sequence[int],
    seed: int = 0,
    classifier: scores.Classifier | None = None,
) -> Reference:
    """Runs Keras on as many latents as `compare` takes for these batch sizes.

    Args:
        generator: the Keras generator.
        batch_sizes: that files are run with.
        seed: the seed of the latents. Defaults to 0.
        classifier: judges the images, of which it takes more. Defaults to None.
    """
    compared = max(most_compared(generator.image_shape), *batch_sizes)
    count = compared if classifier is None else max(compared, _SCORED)
    inputs = generator.draw(count, seed)
    batches = [
        {k: v[start : start + _CHUNK] for k, v in inputs.items()}
        for start in range(0, count, _CHUNK)
    ]
    own = None
    with whole_float32():
        images = np.concatenate([np.asarray(generator(**batch)) for batch in batches])
        if generator.compute_dtype != "float32":
            own = np.concatenate([generator.predict(**batch) for batch in batches])
    return Reference(
        inputs=inputs,
        images=images,
        output_range=generator.output_range,
        compared=compared,
        own=own,
        classifier=classifier,
        logits=None if classifier is None else classifier.logits(images),
    )


@contextlib.contextmanager
def whole_float32() -> Iterator[None]:
    """Keeps GPUs from rounding the factors of float32 products to TF32."""
    switch = tf.config.experimental
    before = switch.tensor_float_32_execution_enabled()
    switch.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        switch.enable_tensor_float_32_execution(before)


def most_compared(image_shape: Sequence[int]) -> int:
    """Returns how many images of a shape a file is compared on."""
    height, width = image_shape[:2]
    return min(_MOST_IMAGES, max(1, _PIXELS // (height * width)))


def compare(
    path: pathlib.Path,
    format: str,
    precision: str,
    reference: Reference,
    batch_sizes: Sequence[int],
    bound: float | None = None,
) -> Difference:
    """Runs a file in a process of its own and returns its difference from Keras.

    Args:
        path: the file or folder.
        format: `saved_model`, `litert` or `onnx`.
        precision: of the weights; picks the bounds.
        reference: what it should equal.
        batch_sizes: those that the file is run with, the largest on all images.
        bound: the least PSNR. Defaults to that in `BOUNDS`.

    Raises:
        VerificationError: if the file can't be run, or returns other shapes, NaN, or
            (a SavedModel) samples that don't follow from the seed.
    """
    calls, parts = [], []
    # The largest last: its images are then the last ones, in the latents' order.
    for size in (*sorted(batch_sizes)[:-1], largest := max(batch_sizes)):
        end = len(reference.images) if size == largest else reference.compared
        for start in range(0, end - size + 1, size):
            calls.append(names.signature_name(format, size))
            parts.append(slice(start, start + size))
    inputs = [{k: v[part] for k, v in reference.inputs.items()} for part in parts]
    expected = [reference.images[part] for part in parts]
    samples: list[tuple[str, dict[str, np.ndarray]]] = []
    if format == "saved_model":
        samples = checks.sample_calls(reference.inputs)
    outputs = isolation.run_isolated(
        path,
        format,
        calls + [name for name, _ in samples],
        inputs + [given for _, given in samples],
    )
    images = [output.get("images") for output in outputs]
    for index, batch in enumerate(expected):
        checks.check_images(path, images[index], batch.shape, "float32")
    shape = (checks.SAMPLES, *reference.images.shape[1:])
    step = reference.width / 255
    checks.check_samples(path, images[len(expected) :], shape, step)
    actual = np.concatenate(images[: len(expected)])
    wanted = np.concatenate(expected)
    error = np.abs(actual.astype("float64") - wanted)
    own = None
    if reference.own is not None:
        listed = [reference.own[part] for part in parts]
        own = psnr(actual, np.concatenate(listed), reference.width)
    scored = len(reference.images) // largest * largest
    return Difference(
        file=path.name,
        format=format,
        precision=precision,
        bytes=size_of(path),
        images=len(actual),
        largest=float(error.max()),
        mean=float(error.mean()),
        psnr=psnr(actual, wanted, reference.width),
        bound=BOUNDS[precision] if bound is None else bound,
        own_psnr=own,
        score=_score(reference, actual[-scored:], SCORE_BOUNDS[precision]),
    )


def _score(
    reference: Reference, images: np.ndarray, bound: float
) -> scores.ScoreChange | None:
    if reference.classifier is None or reference.logits is None:
        return None
    count = len(images)
    labels = reference.inputs.get("labels")
    return scores.score_change(
        reference.logits[:count],
        reference.classifier.logits(images),
        None if labels is None else labels[:count],
        bound,
    )


def size_of(path: pathlib.Path) -> int:
    """Returns the size in bytes of a file or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
