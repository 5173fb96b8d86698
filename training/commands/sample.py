"""`python -m training sample`: draws images from a run's generator."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import memory, quiet, values
from training.storage.files import check_replaceable
from training.storage.folder import RunFolder

if TYPE_CHECKING:
    import numpy as np

WEIGHTS = ("last", "ema", "best", "ema-best")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder")
    parser.add_argument("--count", type=int, default=64, help="how many images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents")
    parser.add_argument(
        "--truncation",
        type=float,
        metavar="LIMIT",
        help="no latent's number is further from 0 than this: images are more alike, "
        "and mostly better; 1 is a usual value; by default there is no limit",
    )
    parser.add_argument(
        "--labels",
        help="the classes to draw, by number or name, such as 3 or cat,dog; they "
        "repeat; for a conditional generator, by default random ones",
    )
    parser.add_argument(
        "--per-class",
        type=int,
        metavar="COUNT",
        help="in place of --count: so many images of each class, a row a class",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--grid", action="store_true", help="one PNG with all (default)")
    form.add_argument("--singles", action="store_true", help="a PNG an image")
    parser.add_argument(
        "--output",
        help="the PNG, or the folder of PNGs, which is replaced if it is there; by "
        "default a new one in RUN/samples",
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights",
        choices=WEIGHTS,
        default="last",
        help="which of the run's generators: that of the last checkpoint, its average, "
        "or the one that scored best",
    )
    weights.add_argument(
        "--ema",
        dest="weights",
        action="store_const",
        const="ema",
        help="the same as --weights ema",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.output and not arguments.singles:
        check_replaceable(arguments.output, "output")
    folder = RunFolder(arguments.run)
    config, about = folder.config(), folder.part("generator")
    path = _generator(folder, arguments.weights)
    chosen, count = _classes(arguments, about)
    values.integer("seed", arguments.seed, minimum=0, maximum=2**31 - 1)
    if arguments.truncation is not None:
        values.number("truncation", arguments.truncation, above=0)
    shape = config.get("data", {}).get("image_shape", [1])
    pixels = 1
    for size in shape:
        pixels *= size
    # The latents, and the images as floats and as bytes.
    needed = count * (4 * about["latent_dim"] + 5 * pixels)
    memory.check("count", count, needed)

    quiet.import_tensorflow()
    from training.storage import pictures

    images = pictures.to_uint8(
        _draw(path, about, count, arguments.seed, chosen, arguments.truncation)
    )
    name = f"seed-{arguments.seed}"
    if arguments.singles:
        output = Path(arguments.output or _new(folder.samples / name))
        output.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            pictures.write_png(output / f"{i:06d}.png", image)
    else:
        output = Path(arguments.output or _new(folder.samples / f"{name}.png"))
        output.parent.mkdir(parents=True, exist_ok=True)
        grid = pictures.grid(images, columns=arguments.per_class)
        pictures.write_png(output, grid)
    print(output)


def _generator(folder: RunFolder, weights: str) -> Path:
    """Returns the file of a generator."""
    name = "generator.keras" if weights == "last" else f"generator-{weights}.keras"
    path = folder.path / name
    if not path.exists():
        when = {
            "last": "with the first checkpoint",
            "ema": "with the first checkpoint, if `--ema` is set as it trains",
        }.get(weights, "with the first score, if `--score-every` is set as it trains")
        raise ValueError(f"`run` {folder.path} has no {name}: it is written {when}.")
    return path


def _classes(
    arguments: argparse.Namespace, about: dict[str, Any]
) -> tuple[list[int] | None, int]:
    """Returns the class of each image, None for random ones or none; and how many."""
    known = about.get("num_classes") or 0
    if not known:
        for name in ("labels", "per_class"):
            if getattr(arguments, name) is not None:
                raise ValueError(
                    f"`{name}` must not be given: the generator is not conditional. "
                    f"Received: {name}={getattr(arguments, name)}"
                )
    labels = None
    if arguments.labels is not None:
        labels = _numbers(arguments.labels, known, about.get("class_names") or ())
    if arguments.per_class is not None:
        each = values.integer("per_class", arguments.per_class)
        memory.check("per_class", each, each)
        rows = labels if labels is not None else range(known)
        return [label for label in rows for _ in range(each)], each * len(rows)
    count = values.integer("count", arguments.count)
    memory.check("count", count, count)
    if labels is not None:
        return list(itertools.islice(itertools.cycle(labels), count)), count
    return None, count


def _numbers(text: str, classes: int, names: Sequence[str]) -> list[int]:
    """Returns classes as numbers; a name comes before a number."""
    numbers = []
    for part in text.split(","):
        if part in names:
            numbers.append(list(names).index(part))
        elif part.isdecimal() and int(part) < classes:
            numbers.append(int(part))
        else:
            wanted = f"classes, by numbers in [0, {classes})"
            if names:
                wanted += f" or by names, such as {', '.join(names[:3])}"
            raise ValueError(values.message("labels", wanted, text))
    return numbers


def _new(path: Path) -> Path:
    """Returns a path that isn't there: this one, or one with a number."""
    others = (
        path.with_name(f"{path.stem}-{number}{path.suffix}")
        for number in itertools.count(2)
    )
    return next(one for one in itertools.chain([path], others) if not one.exists())


def _draw(
    path: Path,
    about: dict[str, Any],
    count: int,
    seed: int,
    chosen: list[int] | None,
    truncation: float | None,
) -> np.ndarray:
    import keras
    import numpy as np

    # Conditional batch norm is found by its registered name.
    import sn_keras  # noqa: F401
    from training.gan import draws, generated

    generator = keras.saving.load_model(path, compile=False)
    at = draws.samples(seed)
    latents = draws.latents(at, count, about["latent_dim"])
    if truncation is not None:
        latents = _truncated(np.asarray(latents), truncation)
    labels: Any = None
    if about["num_classes"] is not None:
        if chosen is None:
            labels = draws.labels(at, count, about["num_classes"])
        else:
            labels = np.asarray(chosen, np.int32)
    return np.concatenate(list(generated.images(generator, latents, labels)))


def _truncated(latents: np.ndarray, limit: float) -> np.ndarray:
    """Returns normal numbers as those of a normal distribution within ±`limit`.

    By the distributions' quantiles, so that a seed's image stays much the same.
    """
    from scipy.special import ndtr, ndtri

    low = ndtr(-limit)
    quantiles = low + ndtr(latents.astype("float64")) * (1 - 2 * low)
    return ndtri(quantiles).clip(-limit, limit).astype("float32")
