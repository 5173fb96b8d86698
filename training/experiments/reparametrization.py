"""Tables 7 and 8: γ reparametrizations under WGAN-GP, and D's loss on new images."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.experiments.shared import common_options as options
from training.experiments.shared import curves, grid, methods, results
from training.experiments.shared.grid import Member
from training.experiments.shared.scored import Scored, train_and_score
from training.runs import paper
from training.storage.folder import RunFolder
from training.tables import markdown

if TYPE_CHECKING:
    from training.data import DataSource

# The presets of the paper's rows, without their data's name.
_METHODS = (
    "cnn-wgan-gp",
    "cnn-wgan-gp-frobenius-gamma",
    "cnn-wgan-gp-weight-norm-gamma",
    "cnn-wgan-gp-spectral-gamma",
    "resnet-wgan-gp",
    "resnet-wgan-gp-spectral-gamma",
    "resnet-ac-wgan-gp",
    "resnet-ac-wgan-gp-spectral-gamma",
)
_PREFIX = "critic_loss/"
_TOGETHER = 100  # images in a call of D


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_jobs(parser)
    options.add_methods(parser, _METHODS, _METHODS)
    options.add_seeds(parser)
    parser.add_argument(
        "--every",
        type=int,
        help="steps between two measurements of the critic's loss; by default a "
        "hundredth of all",
    )
    parser.add_argument(
        "--critic-images",
        type=int,
        default=1000,
        help="images of each kind that the critic's loss is measured on",
    )
    options.add_scoring(parser)
    decided = (*methods.DECIDED, "network", "setting", "conditioning", "seed")
    options.add_preset(parser, paper.get(f"cifar10-{_METHODS[0]}"), decided)
    options.add_run_options(parser, without=("inception",))


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    output = Path(arguments.output)
    methods.check(arguments.methods, _METHODS)
    base = {
        name: options.base_preset(arguments, paper.get(f"cifar10-{name}"))
        for name in arguments.methods
    }
    members = [
        Member(
            f"{name}-seed{seed}",
            dataclasses.replace(preset, seed=seed),
            {"method": name, "seed": seed},
        )
        for name, preset in base.items()
        for seed in options.seeds(arguments)
    ]
    first = members[0].preset
    every = options.every(arguments, first.steps)
    how = options.run_options(arguments)
    # Not the part that is there by default, which may hold the test images.
    sources = grid.load_sources(members, split="train")
    from training.runs.callbacks.measurements import Measurement

    new = grid.load_split(first, "test")
    if new is None:
        print(f"{first.data} has no test images: the critic's loss is of training's.")
    images = {"train": sources[0]} | ({} if new is None else {"validation": new})
    count = arguments.critic_images
    measured = Measurement(
        every, _PREFIX, CriticLoss(images, count), {"critic_images": count}
    )
    scored = train_and_score(output, members, arguments, how, sources, [measured])
    for row in scored.rows:
        folder = RunFolder(output / row["run"])
        row["critic_loss"] = {
            kind: curves.over_steps(folder, f"{_PREFIX}{kind}") for kind in images
        }
    named = dataclasses.replace(first, name="reparametrization")
    results.finish(output, named, tables, draw, **scored.as_json())


class CriticLoss:
    """Measures D's adversarial loss, without the penalty, on images of each kind.

    For WGAN-GP it is E D(G(z)) − E D(x): minus the distance that the critic estimates.
    A critic that does as well on new images as on those it was trained on has not
    learned them by heart.

    Args:
        sources: images by what they are called.
        count: how many of each, and of generated ones; all if there are fewer.
    """

    def __init__(self, sources: Mapping[str, DataSource], count: int):
        if count < 1:
            raise ValueError(
                f"`critic_images` must be 1 or more. Received: critic_images={count}"
            )
        self._count = count
        self._sets = {
            kind: source.sample(min(count, len(source)))
            for kind, source in sources.items()
        }

    def __call__(self, gan: Any) -> dict[str, float]:
        """Returns `critic_loss/KIND` → loss."""
        losses = {}
        for kind, (pixels, labels) in self._sets.items():
            conditional = gan.num_classes is not None
            # The mean of training's noise.
            real = (pixels.astype(np.float32) + 0.5) / 128 - 1
            fake = gan.generate(
                len(real), seed=1, labels=labels if conditional else None
            )
            loss = gan.adversarial_loss.discriminator(
                _logits(gan, real, labels), _logits(gan, fake, labels)
            )
            losses[f"{_PREFIX}{kind}"] = float(loss)
        return losses


def _logits(gan: Any, images: np.ndarray, labels: Any) -> np.ndarray:
    from training.gan import wiring

    takes_labels = len(gan.discriminator.inputs) == 2
    found = []
    for start in range(0, len(images), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        inputs = [images[part], labels[part]] if takes_labels else images[part]
        # Inference: the power iteration's vectors stay as they are.
        logits, _ = wiring.split(gan.discriminator(inputs, training=False))
        found.append(np.asarray(logits))
    return np.concatenate(found)


def tables(result: results.Result) -> str:
    """Returns scores and last critic losses of each method as a Markdown table."""
    scored = Scored.of(result)
    kinds = list(scored.rows[0]["critic_loss"])
    cells = [["method", *scored.names, *(f"critic loss, {kind}" for kind in kinds)]]
    for method in results.distinct(scored.rows, "method"):
        rows = [row for row in scored.rows if row["method"] == method]
        line = [str(results.summary(rows, name)) for name in scored.names]
        for kind in kinds:
            curve = [row["critic_loss"][kind]["values"] for row in rows]
            last = [values[-1] for values in curve if values]
            line.append(f"{np.mean(last):.4g}" if last else "")
        cells.append([method, *line])
    return f"{markdown(cells)}\n\n{scored.note()}"


def draw(result: results.Result, path: Path) -> None:
    """Draws the critic's loss over the steps: new images dashed."""
    scored = Scored.of(result)
    note = "the critic's loss without its penalty on images of training and new ones"
    figure, axes = results.panels(1, 8, 4, note)
    names = results.distinct(scored.rows, "method")
    styles = {"train": "-", "validation": "--"}
    for row in scored.rows:
        for kind, curve in row["critic_loss"].items():
            axes[0].plot(
                curve["steps"],
                curve["values"],
                styles[kind],
                color=f"C{names.index(row['method'])}",
                label=f"{row['method']}, {kind}",
            )
    axes[0].set_xlabel("updates of G")
    axes[0].set_ylabel("critic loss")
    axes[0].legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="x-small")
    results.save_figure(figure, path)
