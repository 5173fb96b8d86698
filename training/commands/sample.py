"""`python -m training sample`: draws images from a run's generator."""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import memory, quiet, values
from training.data.names import composed
from training.storage.files import check_replaceable
from training.storage.folder import RunFolder
from training.storage.singles import earlier_singles

if TYPE_CHECKING:
    import numpy as np

WEIGHTS = ("last", "ema", "best", "ema-best")
_COUNT = 64
_CLASS_ROWS = 20  # so many classes have a row each
_WAYS = 8  # rows of an interpolation
_ANIMATIONS = (".gif", ".webp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--count",
        type=int,
        help=f"how many images (default: {_COUNT}, or as many in rows by class)",
    )
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
        "repeat; for a conditional generator, by default all, a row a class, or of "
        f"more than {_CLASS_ROWS} random ones",
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
    form.add_argument(
        "--interpolate",
        type=int,
        metavar="STEPS",
        help="rows that go from one latent to another in so many images, or with "
        "--labels from one of these classes to the next; an animation if --output ends "
        "in .gif or .webp",
    )
    form.add_argument(
        "--beside-real", action="store_true", help="real images above generated ones"
    )
    form.add_argument(
        "--nearest",
        action="store_true",
        help="each image above the training image that is nearest to it by its pixels, "
        "to see whether G copies",
    )
    parser.add_argument(
        "--data", help="where the run's images lie now, if they were moved"
    )
    parser.add_argument(
        "--output",
        help="the PNG, or with --singles the folder of PNGs (and of nothing else), "
        "which is replaced if it is there; by default a new one in RUN/samples",
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights",
        choices=WEIGHTS,
        help="which of the run's generators: that of the last checkpoint, its average "
        "(ema), or the one that scored best; by default the average where there is one",
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
    _check_output(arguments)
    if arguments.data is not None and not (arguments.beside_real or arguments.nearest):
        raise ValueError(
            "`data` is for the forms that show real images, `--beside-real` and "
            f"`--nearest`. Received: data={arguments.data!r}"
        )
    folder = RunFolder(arguments.run)
    folder.moved_data = arguments.data
    config, about = folder.config(), folder.part("generator")
    path = _generator(folder, arguments.weights or folder.usual_weights())
    chosen, count, columns = _classes(arguments, about)
    steps = arguments.interpolate
    if steps is not None:
        steps = values.integer("interpolate", steps, minimum=2)
        count = max(2 * _WAYS, _WAYS * steps)
    seed = values.integer("seed", arguments.seed, minimum=0, maximum=2**31 - 1)
    limit = arguments.truncation
    if limit is not None:
        limit = values.number("truncation", limit, above=0)
    shape = config.get("data", {}).get("image_shape", [1])
    pixels = math.prod(shape)
    # The latents, and the images as floats and as bytes.
    needed = count * (4 * about["latent_dim"] + 5 * pixels)
    memory.check("count" if steps is None else "interpolate", count, needed)

    quiet.import_tensorflow()
    import keras

    # Conditional batch norm is found by its registered name.
    import sn_keras  # noqa: F401
    from training.evaluation import looking, sheets
    from training.evaluation.real_images import trained_source
    from training.storage import pictures

    generator = keras.saving.load_model(path, compile=False)
    known = _names(about)
    if steps is not None:
        latents = looking.latents(2 * _WAYS, about["latent_dim"], seed, limit)
        ways = sheets.interpolation(generator, latents, steps, known, chosen)
        output = Path(arguments.output or "")
        if output.suffix.lower() in _ANIMATIONS:
            output.parent.mkdir(parents=True, exist_ok=True)
            pictures.write_animation(output, sheets.frames(ways[0]))
            print(output)
        else:
            _write(pictures.named_rows(*ways), "interpolation-seed", folder, arguments)
        return
    latents = looking.latents(count, about["latent_dim"], seed, limit)
    images = sheets.drawn(generator, latents, about["num_classes"], chosen, seed)
    if arguments.singles:
        output = Path(arguments.output or _new(folder.samples / f"seed-{seed}"))
        pictures.write_singles(output, images)
        print(output)
    elif arguments.beside_real:
        sheet = sheets.beside_real(images, trained_source(folder), arguments.seed)
        _write(sheet, "beside-real-seed", folder, arguments)
    elif arguments.nearest:
        sheet, distances = sheets.beside_nearest(images, trained_source(folder))
        _write(sheet, "nearest-seed", folder, arguments)
        print(
            f"The nearest is {distances.min():.1f} away, half are no more than "
            f"{sorted(distances)[len(distances) // 2]:.1f} (root mean square of pixels "
            "from 0 to 255; 0 is a copy)."
        )
    elif columns is None or chosen is None:
        _write(pictures.grid(images), "seed", folder, arguments)
    else:
        parts = [images[i : i + columns] for i in range(0, count, columns)]
        names = [(known or [])[label] for label in chosen[::columns]]
        _write(pictures.named_rows(parts, names), "seed", folder, arguments)


def _check_output(arguments: argparse.Namespace) -> None:
    output = arguments.output
    if output and arguments.singles:
        earlier_singles(output)
    elif output:
        check_replaceable(output, "output")
        endings = [".png"]
        if arguments.interpolate is not None:
            endings += _ANIMATIONS
        if Path(output).suffix.lower() not in endings:
            wanted = f"a path that ends in {' or '.join(endings)}"
            raise ValueError(values.message("output", wanted, output))


def _write(
    sheet: np.ndarray, name: str, folder: RunFolder, arguments: argparse.Namespace
) -> None:
    from training.storage import pictures

    name = f"{name}-{arguments.seed}.png"
    output = Path(arguments.output or _new(folder.samples / name))
    output.parent.mkdir(parents=True, exist_ok=True)
    pictures.write_png(output, sheet)
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
        raise ValueError(
            f"`weights` must name a generator that is there. Received: "
            f"weights={weights!r}, and {folder.path} has no {name}: it is written "
            f"{when}."
        )
    return path


def _classes(
    arguments: argparse.Namespace, about: dict[str, Any]
) -> tuple[list[int] | None, int, int | None]:
    """Returns the class of each image, None for random ones or none; how many images.

    And how many there are in the row of each class, None for no such rows.
    """
    known = about.get("num_classes") or 0
    if not known:
        for name in ("labels", "per_class"):
            if getattr(arguments, name) is not None:
                wanted = "left out: G has no classes (`fit --conditioning` gives some)"
                raise ValueError(values.message(name, wanted, getattr(arguments, name)))
    labels = None
    if arguments.labels is not None:
        labels = _numbers(arguments.labels, known, about.get("class_names") or ())
    each = arguments.per_class
    if each is None and arguments.count is None and labels is None:
        if 0 < known <= _CLASS_ROWS:
            each = max(1, _COUNT // known)
    elif each is not None:
        each = values.integer("per_class", each)
        memory.check("per_class", each, each)
    for name, instead in (
        ("count", "interpolate"),
        ("per_class", "interpolate"),
        ("count", "per_class"),
    ):
        given = getattr(arguments, name)
        if given is not None and getattr(arguments, instead) is not None:
            raise ValueError(
                f"`{name}` must not be given with `--{instead.replace('_', '-')}`, "
                f"which says how many. Received: {name}={given}"
            )
    if arguments.interpolate is not None:
        return labels, 0, None
    if each is not None:
        rows = labels if labels is not None else range(known)
        chosen = [label for label in rows for _ in range(each)]
        return chosen, len(chosen), each
    count = _COUNT
    if arguments.count is not None:
        count = values.integer("count", arguments.count)
    memory.check("count", count, count)
    if labels is not None:
        return list(itertools.islice(itertools.cycle(labels), count)), count, None
    return None, count, None


def _names(about: dict[str, Any]) -> list[str] | None:
    classes = about.get("num_classes")
    if classes is None:
        return None
    return list(about.get("class_names") or map(str, range(classes)))


def _numbers(text: str, classes: int, names: Sequence[str]) -> list[int]:
    """Returns classes as numbers; a name comes before a number."""
    names = [composed(name).strip() for name in names]
    numbers = []
    for part in composed(text).split(","):
        part = part.strip()
        if part in names:
            numbers.append(names.index(part))
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
