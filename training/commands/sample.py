"""`python -m training sample`: draws images from a run's generator."""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

from training.gan import draws
from training.storage import pictures
from training.storage.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder")
    parser.add_argument("--count", type=int, default=64, help="how many images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents")
    parser.add_argument(
        "--labels",
        type=_labels,
        help="numbers of the classes to draw, such as 3 or 0,1,2, which repeat, for a "
        "conditional generator; by default random ones",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--grid", action="store_true", help="one PNG with all (default)")
    form.add_argument("--singles", action="store_true", help="a PNG an image")
    parser.add_argument(
        "--output", help="the PNG, or the folder of PNGs; by default in RUN/samples"
    )
    parser.add_argument(
        "--ema", action="store_true", help="take the generator of averaged weights"
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.count < 1:
        raise ValueError(
            f"`count` must be 1 or more. Received: count={arguments.count}"
        )
    folder = RunFolder(arguments.run)
    config = folder.config()["generator"]
    path = folder.averaged_generator if arguments.ema else folder.generator
    if not path.exists():
        raise ValueError(
            f"`run` {folder.path} has no {path.name}: it is written with the first "
            "checkpoint" + (", if `--ema` is set." if arguments.ema else ".")
        )
    pixels = pictures.to_uint8(
        _draw(path, config, arguments.count, arguments.seed, arguments.labels)
    )
    name = f"seed-{arguments.seed}"
    if arguments.singles:
        output = Path(arguments.output or folder.samples / name)
        output.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(pixels):
            pictures.write_png(output / f"{i:06d}.png", image)
    else:
        output = Path(arguments.output or folder.samples / f"{name}.png")
        output.parent.mkdir(parents=True, exist_ok=True)
        pictures.write_png(output, pictures.grid(pixels))
    print(output)


def _draw(
    path: Path, config: dict, count: int, seed: int, labels: list[int] | None
) -> np.ndarray:
    # Conditional batch norm is found by its registered name.
    import sn_keras  # noqa: F401

    generator = keras.saving.load_model(path, compile=False)
    at = draws.samples(seed)
    latents = draws.latents(at, count, config["latent_dim"])
    classes = config["num_classes"]
    if classes is None:
        if labels is not None:
            raise ValueError(
                "`labels` must not be given: the generator is not conditional."
            )
        return generator.predict(latents, batch_size=64, verbose=0)
    if labels is None:
        chosen = draws.labels(at, count, classes)
    else:
        if not all(0 <= label < classes for label in labels):
            raise ValueError(
                f"`labels` must lie in [0, {classes}). Received: labels={labels}"
            )
        chosen = np.resize(np.asarray(labels, np.int32), count)
    return generator.predict([latents, chosen], batch_size=64, verbose=0)


def _labels(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"`labels` must be numbers of classes, such as 3 or 0,1,2. Received: {text}"
        ) from None
