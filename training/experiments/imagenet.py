"""Figures 6 and 8: conditional GANs, their scores and their variety as they train."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation import scoring_options as scoring
from training.experiments.shared import common_options as options
from training.experiments.shared import curves, grid, methods, results
from training.experiments.shared.grid import Member
from training.experiments.shared.scored import Scored, train_and_score
from training.runs import paper
from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage.folder import RunFolder
from training.tables import markdown

if TYPE_CHECKING:
    from training.data import DataSource

_CONCAT = paper.get("imagenet-concat")
_METHODS: dict[str, Preset] = {
    "concat-spectral": _CONCAT,
    "concat-orthonormal": paper.get("imagenet-concat-orthonormal"),
    "concat-layer-norm": dataclasses.replace(_CONCAT, normalizer="layer-norm"),
    "concat-none": dataclasses.replace(_CONCAT, normalizer="none"),
    "projection-spectral": paper.get("imagenet-projection"),
}
# The curves are scored as the runs train, by their own network and the paper's numbers
# of real images: the last scores must rest on the same.
_NOT_OF_CURVES = (
    "extractor",
    "protocol",
    "n_real",
    "scored_split",
    "classifier_seed",
    "cache",
)
_SIMILARITY = "intra_ms_ssim"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_jobs(parser)
    options.add_methods(parser, tuple(_METHODS), tuple(_METHODS))
    parser.add_argument(
        "--every",
        type=int,
        help="steps between two points of the curves; by default a twentieth of all",
    )
    parser.add_argument(
        "--similarity-classes",
        type=int,
        default=100,
        help="classes that intra-class MS-SSIM is the mean over",
    )
    parser.add_argument(
        "--similarity-images",
        type=int,
        default=20,
        help="generated images of each, of which 100 pairs are compared",
    )
    options.add_scoring(parser, _NOT_OF_CURVES)
    decided = ("normalizer", "conditioning")
    options.add_preset(parser, _CONCAT, decided)
    # The curves rest on as many generated images as the last scores: FCD is biased by
    # the number.
    without = ("inception", "score_every", "score_images")
    options.add_run_options(parser, without=without)


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    output = Path(arguments.output)
    methods.check(arguments.methods, _METHODS)
    members = [
        Member(name, options.base_preset(arguments, _METHODS[name]), {"method": name})
        for name in arguments.methods
    ]
    base = members[0].preset
    every = options.every(arguments, base.steps, parts=20)
    n_fake = scoring.protocol(options.with_small_scores(arguments)).n_fake
    how = RunOptions(score_every=every, score_images=n_fake)
    how = options.run_options(arguments, how)
    sources = grid.load_sources(members)
    from training.runs.callbacks.measurements import Measurement

    similarity = Similarity(
        sources[0], arguments.similarity_classes, arguments.similarity_images
    )
    by = {
        "similarity_classes": arguments.similarity_classes,
        "similarity_images": arguments.similarity_images,
        "n_fake": n_fake,
    }
    measured = Measurement(every, _SIMILARITY, similarity, by)
    scored = train_and_score(output, members, arguments, how, sources, [measured])
    for row in scored.rows:
        row["curves"] = _curves(RunFolder(output / row["run"]), base)
    named = dataclasses.replace(base, name="imagenet")
    results.finish(output, named, tables, draw, **scored.as_json())


def _curves(folder: RunFolder, base: Preset) -> dict[str, dict[str, list[Any]]]:
    # Of the generator that the last scores are of: the averaged one if there is one.
    prefix = "scores/ema_" if base.ema else "scores/"
    return {
        name.removeprefix(prefix): curves.over_steps(folder, name)
        for name in (*curves.names(folder, prefix), _SIMILARITY)
    }


class Similarity:
    """Measures how alike generated images of one class are: intra-class MS-SSIM.

    The averaged generator's, if there is one.

    Args:
        source: the images that are trained on, for their size and classes.
        classes: the first so many classes are looked at; all if there are fewer.
        count: generated images of each, 2 or more.

    Raises:
        ValueError: if the images have no labels or are too small.
    """

    def __init__(self, source: DataSource, classes: int, count: int):
        from training.evaluation.scores.ms_ssim import WINDOW, scales_of

        if not source.num_classes:
            raise ValueError(
                "`data` must have labels, for a GAN with classes. "
                f"Received: {source.name!r} without labels"
            )
        if not scales_of(source.image_shape):
            raise ValueError(
                f"`image_size` must be {WINDOW} or more for MS-SSIM. "
                f"Received: images of shape {source.image_shape}"
            )
        for name, value, least in (
            ("similarity_classes", classes, 1),
            ("similarity_images", count, 2),
        ):
            if value < least:
                raise ValueError(
                    f"`{name}` must be {least} or more. Received: {name}={value}"
                )
        kept: np.ndarray = np.arange(min(classes, source.num_classes), dtype=np.int32)
        self._labels: np.ndarray = np.repeat(kept, count)

    def __call__(self, gan: Any) -> dict[str, float]:
        """Returns `intra_ms_ssim` → the mean over classes, 1 if all are alike."""
        from training.evaluation import intra_ms_ssim
        from training.gan import generated
        from training.storage import pictures

        labels, averaged = self._labels, gan.averaged_generator()
        generator = gan.generator if averaged is None else averaged
        images = generated.drawn(
            generator, gan.latent_dim, gan.num_classes, len(labels), 2, labels
        )
        return {_SIMILARITY: intra_ms_ssim(pictures.to_uint8(images), labels).mean}


def tables(result: results.Result) -> str:
    """Returns the last scores of each method as a Markdown table."""
    scored = Scored.of(result)
    cells = [["method", *scored.names, "intra MS-SSIM"]]
    for row in scored.rows:
        alike = row["curves"][_SIMILARITY]["values"]
        last = f"{alike[-1]:.3f}" if alike else ""
        scores = [str(results.summary([row], name)) for name in scored.names]
        cells.append([row["method"], *scores, last])
    return f"{markdown(cells)}\n\n{scored.note()}"


def draw(result: results.Result, path: Path) -> None:
    """Draws a panel a score, a curve a method, over the steps."""
    rows, base = result["rows"], Preset(**result["base"])
    shown = list(dict.fromkeys(name for row in rows for name in row["curves"]))
    note = (
        f"conditional GANs, {base.data}, {base.image_size} px, "
        f"{base.width_multiplier:g} × width"
    )
    figure, axes = results.panels(len(shown), 4.2, 3.2, note, columns=3)
    for axis, name in zip(axes, shown, strict=False):
        for i, row in enumerate(rows):
            curve = row["curves"].get(name)
            if curve:
                axis.plot(
                    curve["steps"], curve["values"], label=row["method"], color=f"C{i}"
                )
        axis.set_xlabel("updates of G")
        axis.set_ylabel(name.replace("_", " "))
    axes[0].legend(fontsize="small")
    results.save_figure(figure, path)
