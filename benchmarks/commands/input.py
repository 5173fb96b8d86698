"""`input`: images per second of each data route, against what a step takes.

Each route is first read alone, as fast as it goes. Then it feeds a training run, and
what counts is how long the step waits for its images.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import struct
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.shared import gan_step, tables, timing

_SEED = 0
# Of a folder that is decoded as its images are needed, as large ones are.
_LATER = ", on demand"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="NAME",
        help="further data sets, as `python -m training fit --data` takes them",
    )
    parser.add_argument("--network", choices=("cnn", "resnet"), default="cnn")
    parser.add_argument("--precision", choices=gan_step.PRECISIONS, default="float32")
    parser.add_argument("--batch-size", type=int, default=64, help="default: 64")
    parser.add_argument(
        "--images", type=int, default=2000, help="in the sets made here (default: 2000)"
    )
    parser.add_argument("--batches", type=int, default=200, help="read alone")
    parser.add_argument("--steps", type=int, default=20, help="trained (default: 20)")
    gan_step.add_size(parser)
    gan_step.add_threads(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command and returns its result.

    Args:
        arguments: the parsed ones.
    """
    gan_step.set_threads(arguments.threads)
    from training import data

    step = gan_step.Step(
        network=arguments.network,
        batch_size=arguments.batch_size,
        precision=arguments.precision,
        image_size=arguments.image_size,
        width=arguments.width,
    )
    gan = gan_step.gan(step)
    gan_step.runner(gan, step)()  # traced here, not in the first route
    results = []
    with _made(arguments.images, arguments.image_size) as made:
        routes = {**made, **{name: name for name in arguments.data}}
        for title, name in routes.items():
            start = time.perf_counter()
            later = title.endswith(_LATER)
            source = data.load(
                name,
                image_size=arguments.image_size,
                channels=3,
                streaming=True if later else None,
            )
            loading = time.perf_counter() - start
            dataset = data.make_dataset(source, step.batch_size, _SEED)
            dataset = dataset.map(lambda images, *labels: images)
            alone = _read(dataset, arguments.batches)
            waits, trained = _train(gan, dataset, arguments.steps)
            results.append(
                {
                    "route": title,
                    "images": len(source),
                    "loading_seconds": loading,
                    "images_per_second": step.batch_size / alone,
                    "step_images_per_second": step.batch_size / trained,
                    "wait_seconds": waits,
                    "step_seconds": trained,
                }
            )
    tables.show(
        f"Data routes: {step.image_size} px, batch {step.batch_size}; the step is "
        f"{step.network}, {step.precision}, n_dis 1",
        [
            "route",
            "images",
            "load s",
            "images/s alone",
            "images/s of the step",
            "alone / step",
            "wait per step, ms",
            "share of step",
        ],
        [
            [
                one["route"],
                one["images"],
                f"{one['loading_seconds']:.2f}",
                f"{one['images_per_second']:.0f}",
                f"{one['step_images_per_second']:.0f}",
                f"{one['images_per_second'] / one['step_images_per_second']:.0f}",
                f"{one['wait_seconds'] * 1e3:.2f}",
                f"{one['wait_seconds'] / one['step_seconds']:.2%}",
            ]
            for one in results
        ],
    )
    return {"routes": results}


def _read(dataset: Any, batches: int) -> float:
    iterator = iter(dataset)
    next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return (time.perf_counter() - start) / batches


def _train(gan: Any, dataset: Any, count: int) -> tuple[float, float]:
    iterator = iter(dataset)
    waits, seconds = [], []
    for index in range(count + 2):
        start = time.perf_counter()
        images = next(iterator)
        waited = time.perf_counter() - start
        gan.train_on_batch(images)
        if index >= 2:
            waits.append(waited)
            seconds.append(time.perf_counter() - start)
    return timing.summarize(waits).median, timing.summarize(seconds).median


@contextlib.contextmanager
def _made(count: int, size: int) -> Iterator[dict[str, str]]:
    """Makes a set for each route that can't be taken from what is installed."""
    random = np.random.default_rng(_SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        images = _smooth(random, count, size)
        routes = {"embedded (mnist5k)": "mnist5k"}
        for kind in ("JPEG", "PNG", "WebP"):
            _write_folder(folder / kind, images, kind)
            routes[f"folder of {kind}"] = f"folder:{folder / kind}"
            routes[f"folder of {kind}{_LATER}"] = f"folder:{folder / kind}"
        _write_idx(folder / "idx", images[..., 0])
        yield {**routes, "IDX files": f"idx:{folder / 'idx'}"}


def _smooth(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Returns images with as much detail as photographs: noise at several scales."""
    from PIL import Image

    images: np.ndarray = np.zeros((count, size, size, 3))
    for share, side in ((0.6, size // 16), (0.3, size // 4), (0.1, size)):
        noise = random.integers(0, 256, (count, max(side, 1), max(side, 1), 3))
        for image, part in zip(images, noise.astype(np.uint8), strict=True):
            image += share * np.asarray(Image.fromarray(part).resize((size, size)))
    return images.astype(np.uint8)


def _write_folder(folder: pathlib.Path, images: np.ndarray, kind: str) -> None:
    from PIL import Image

    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:06d}.{kind.lower()}")


def _write_idx(folder: pathlib.Path, images: np.ndarray) -> None:
    folder.mkdir()
    # Two zero bytes, unsigned bytes (8), the number of axes; then the sizes.
    header = struct.pack(">HBB3I", 0, 8, 3, *images.shape)
    (folder / "train-images-idx3-ubyte").write_bytes(header + images.tobytes())
    labels = struct.pack(">HBBI", 0, 8, 1, len(images)) + bytes(len(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
