"""`backends`: what spectral normalization adds to an update of D on any backend.

The discriminator alone is trained in `fit`, on fixed images, with the hinge loss: an
update of D in a GAN less the images' making. It takes the backend that KERAS_BACKEND
names and the first GPU that this finds, else the CPU; on JAX and torch, TensorFlow need
not be installed. Candidates run in turns, each precision is a session of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from benchmarks.shared import gan_step, machine, tables, timing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    parser.add_argument("--network", choices=("cnn", "resnet"), default="resnet")
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=gan_step.PRECISIONS,
        default=gan_step.PRECISIONS,
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=64,
        help="real images, and as many generated ones (default: 64)",
    )
    parser.add_argument(
        "--updates", type=int, default=50, help="timed at once (default: 50)"
    )
    parser.add_argument("--rounds", type=int, default=30, help="default: 30")
    gan_step.add_size(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command and returns its result.

    Args:
        arguments: the parsed ones.
    """
    about = _about()
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    sessions = {}
    for precision in arguments.precisions:
        step = gan_step.Step(
            network=arguments.network,
            batch_size=arguments.batch_size,
            precision=precision,
            image_size=arguments.image_size,
            width=arguments.width,
        )
        sessions[precision] = _session(step, arguments.updates, arguments.rounds)
    return {"backend": about, "sessions": sessions}


def _session(step: gan_step.Step, updates: int, rounds: int) -> dict[str, Any]:
    candidates = {
        name: timing.timed(_updates(dataclasses.replace(step, method=method), updates))
        for name, method in gan_step.COMPARED.items()
    }
    together = timing.interleave(candidates, rounds, progress=tables.progress)
    seconds = {name: [t / updates for t in times] for name, times in together.items()}
    base = next(iter(gan_step.COMPARED))
    ratios = timing.paired_ratios(seconds, base)
    to_ours = timing.paired_ratios(seconds, "sn_keras")
    tables.show(
        f"An update of D: {step.network} {step.image_size} px, 2·{step.batch_size} "
        f"images, {step.precision}, {rounds} rounds of {updates}",
        ["update", "ms", f"time / {base} (quartiles)", "time / sn_keras"],
        [
            [
                name,
                f"{timing.summarize(times).median * 1e3:.2f}",
                str(ratios[name]),
                str(to_ours[name]),
            ]
            for name, times in seconds.items()
        ],
    )
    return {
        "seconds": seconds,
        "ratios": {name: dataclasses.asdict(r) for name, r in ratios.items()},
        "ratios to sn_keras": {n: dataclasses.asdict(r) for n, r in to_ours.items()},
    }


def _updates(step: gan_step.Step, count: int) -> Callable[[], object]:
    """Returns a function that updates D so often and waits for the last loss."""
    import keras
    import numpy as np

    _, discriminator = gan_step.networks(step)
    # The mean of relu(1 − yD(x)), y = 1 for real and −1 for generated images, is half
    # of the hinge loss of D.
    discriminator.compile(keras.optimizers.Adam(2e-4, 0.0, 0.9), keras.losses.Hinge())
    images = np.concatenate([gan_step.real_images(step), -gan_step.real_images(step)])
    signs = np.repeat(np.array([[1], [-1]], np.float32), step.batch_size, axis=0)
    tiled = np.tile(images, (count, 1, 1, 1)), np.tile(signs, (count, 1))
    # Steps of one `fit` follow one another without waiting; its end reads the loss.
    return lambda: discriminator.fit(
        *tiled, batch_size=len(images), shuffle=False, verbose=0
    )


def _about() -> dict[str, str]:
    """Returns the backend's name and version, and the device that it takes."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        device = jax.devices()[0].device_kind
    elif backend == "torch":
        import torch

        gpu = torch.cuda.is_available()
        device = torch.cuda.get_device_name() if gpu else "cpu"
    else:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
        device = details.get("device_name", "cpu")
    packages = ("jax", "torch", "tensorflow", "tensorflow-cpu")
    return {"backend": backend, **machine.versions(packages), "device": device}
