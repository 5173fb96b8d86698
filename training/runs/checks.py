"""All that a run refuses, in one place, before data, folders or devices are touched.

Nothing here imports TensorFlow or Keras: a mistake is told at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from training import memory, networks, normalizers, values
from training.data import known_names
from training.data.names import is_tfds
from training.devices import STRATEGIES
from training.gan.losses import LOSSES
from training.gan.policies import names_of
from training.networks.conditional import CONDITIONINGS
from training.runs.options import JIT, ON_NAN, RunOptions
from training.runs.preset import PRECISIONS, Preset

# Options that do nothing where another one is off.
_NEEDS = {
    "ema_ramp": "ema",
    "score_images": "score_every",
    "inception": "score_every",
}


def preset(given: Any) -> Preset:
    """Returns a preset with its setting's numbers, all of them plain and in range.

    Raises:
        TypeError: if it is no `Preset`, or a field is of another kind.
        ValueError: if a field is out of its range, names nothing, or has no sense
            together with another one.
    """
    if not isinstance(given, Preset):
        raise TypeError(values.message("preset", "a Preset", given))
    full = given.resolved()
    checked = dataclasses.replace(
        full,
        **_fields(
            full,
            _count,
            ["image_size", "latent_dim", "batch_size", "discriminator_steps", "steps"],
            optional=["generator_batch_size"],
        ),
        **_fields(full, values.number, ["learning_rate"], above=0, maximum=10),
        **_fields(
            full,
            values.number,
            ["width_multiplier"],
            optional=["last_width_multiplier"],
            above=0,
            maximum=64,
        ),
        **_fields(full, values.number, ["beta_1", "beta_2", "ema"], minimum=0, below=1),
        **_fields(full, values.number, ["gradient_penalty"], minimum=0),
        **_fields(full, values.integer, ["seed"], minimum=0, maximum=2**31 - 1),
        **_fields(full, _count, ["decay_steps"], minimum=0),
        **_fields(full, values.number, ["split"], minimum=0, below=1),
        **_fields(
            full, values.boolean, ["synchronized", "skip_broken", "ema_ramp", "flips"]
        ),
    )
    for name, known in (
        ("network", networks.NETWORKS),
        ("normalizer", normalizers.NORMALIZERS),
        ("loss", LOSSES),
        ("precision", PRECISIONS),
    ):
        values.name(name, getattr(checked, name), known)
    if checked.conditioning is not None:
        values.name("conditioning", checked.conditioning, CONDITIONINGS)
    if checked.augmentation is not None:
        names_of(checked.augmentation)
    if not isinstance(checked.data, str):
        raise TypeError(values.message("data", "a name or a path", checked.data))
    if not checked.data:
        raise ValueError(values.message("data", "a name or a path", checked.data))
    if not isinstance(checked.background, str):
        raise TypeError(values.message("background", "a colour", checked.background))
    _check_together(checked)
    _check_memory(checked)
    return checked


def options(given: Any, steps: int) -> RunOptions:
    """Returns options whose numbers are plain and in range.

    Args:
        given: `RunOptions`, or None for the defaults.
        steps: the run's last step.

    Raises:
        TypeError: if it is another thing, or an option of another kind.
        ValueError: if an option is out of its range, or names nothing.
    """
    if given is None:
        given = RunOptions()
    if not isinstance(given, RunOptions):
        raise TypeError(values.message("options", "RunOptions or None", given))
    checked = dataclasses.replace(
        given,
        **_fields(
            given,
            _count,
            [
                "steps_per_execution",
                "worker_timeout",
                "log_every",
                "sample_every",
                "samples",
                "checkpoint_every",
                "keep",
            ],
            optional=["spectra_every", "score_every"],
        ),
        score_images=values.integer("score_images", given.score_images, minimum=2),
    )
    # The latents, and the images as bytes; those of a grid are there as floats too.
    memory.check("samples", checked.samples, checked.samples * 5 * 28**2)
    if checked.score_every is not None:
        memory.check("score_images", checked.score_images, checked.score_images * 512)
    values.name("strategy", checked.strategy, STRATEGIES)
    values.name("jit", checked.jit, JIT)
    values.name("on_nan", checked.on_nan, ON_NAN)
    if checked.inception is not None:
        file = values.path("inception", checked.inception)
        checked = dataclasses.replace(checked, inception=str(file))
        if checked.score_every is not None and not file.exists():
            raise ValueError(
                values.message("inception", "a file that exists", checked.inception)
            )
    if steps % checked.steps_per_execution:
        # Keras rounds up: the run would end with steps that nobody asked for.
        raise ValueError(
            f"`steps_per_execution` must divide `steps`, {steps}. "
            f"Received: steps_per_execution={checked.steps_per_execution}"
        )
    return checked


def whole_executions(options: RunOptions, done: int, steps: int) -> None:
    """Raises a ValueError if a run's last execution would go beyond its last step.

    Args:
        options: checked options.
        done: the step that the run carries on from.
        steps: its last step.
    """
    if (steps - done) % options.steps_per_execution:
        left = f"the {steps - done} steps that are left, from step {done} on"
        message = values.message(
            "steps_per_execution", f"a divisor of {left}", options.steps_per_execution
        )
        raise ValueError(message)


def idle(typed: Mapping[str, Any], of: Preset | RunOptions) -> None:
    """Raises a ValueError for an option that was asked for and would do nothing.

    Args:
        typed: the fields that a user gave, as only a command knows them: a preset may
            have the one and leave the other to be turned off.
        of: what came out.
    """
    for name, needed in _NEEDS.items():
        if typed.get(name) and not getattr(of, needed):
            raise ValueError(
                f"`{name}` has no effect without `{needed}`. "
                f"Received: {name}={typed[name]!r}, {needed}={getattr(of, needed)!r}"
            )


def data(name: str) -> None:
    """Raises a ValueError if `name` is neither known nor a folder that is there."""
    kind, _, rest = name.partition(":")
    marked = kind in ("idx", "folder") and rest
    if is_tfds(name) or (name in known_names() and not marked):
        return
    folder = rest if marked else name
    if folder and "\0" not in folder and Path(folder).expanduser().is_dir():
        return
    if marked or "/" in name:
        raise ValueError(values.message("data", "a folder that exists", name))
    try:
        values.name("data", name, known_names())
    except ValueError as error:
        end = "" if str(error).endswith("?") else "."
        raise ValueError(
            f"{error}{end} There is no folder of that name either."
        ) from None


def images(preset: Preset, options: RunOptions, source: Any) -> None:
    """Raises a ValueError if a run can't be one on these images.

    Args:
        preset: a checked preset.
        options: checked options.
        source: gives `image_shape` and `num_classes`.
    """
    if preset.conditioning is not None and not source.num_classes:
        raise ValueError(
            f"`conditioning` {preset.conditioning!r} needs labels, and the data "
            f"{preset.data!r} has none. Received: conditioning={preset.conditioning!r}"
        )
    if len(source) < preset.batch_size:
        wanted = f"at most {len(source)}, the number of images"
        raise ValueError(values.message("batch_size", wanted, preset.batch_size))
    scored = options.score_every is not None and options.inception is None
    if scored and not source.num_classes:
        raise ValueError(
            "`score_every` needs labels, on which a classifier is trained, or the "
            f"file of `inception`. Received: score_every={options.score_every} and "
            "images without labels"
        )
    networks.get(preset.network).check(tuple(source.image_shape))


def _check_together(preset: Preset) -> None:
    """Raises a ValueError for fields that are right one by one and not together."""
    if preset.decay_steps > preset.steps:
        wanted = f"between 0 and `steps` ({preset.steps})"
        raise ValueError(values.message("decay_steps", wanted, preset.decay_steps))
    network = networks.get(preset.network)
    # Of what number of channels, the images say.
    network.check((preset.image_size, preset.image_size, 3))
    bounded = normalizers.get(preset.normalizer).bounds or preset.gradient_penalty
    if preset.loss == "wasserstein" and not bounded:
        known = [one.name for one in normalizers.NORMALIZERS.values() if one.bounds]
        raise ValueError(
            "`loss` 'wasserstein' has no minimum unless D's slope is bounded: by a "
            f"`gradient_penalty`, such as 10, or by a `normalizer` among {known}. "
            f"Received: normalizer={preset.normalizer!r}, gradient_penalty=0"
        )


def _check_memory(preset: Preset) -> None:
    """Raises a ValueError if a field alone takes more memory than there is.

    The needs are lower bounds: what is refused could never have been trained.
    """
    pixels, width = preset.image_size**2, preset.width_multiplier
    updates = preset.discriminator_steps or 1
    # The least that a network of the paper has: 64 channels as wide as the image, and
    # 4,096 units after the latents. With a gradient and Adam's two moments, a weight is
    # there four times.
    an_image = 4 * pixels * (updates + 64 * width)
    memory.check("discriminator_steps", updates, updates * 4 * pixels)
    memory.check("latent_dim", preset.latent_dim, 16 * preset.latent_dim * 4096 * width)
    memory.check("batch_size", preset.batch_size, preset.batch_size * an_image)
    size = preset.generator_batch_size or 0
    memory.check("generator_batch_size", size, size * 4 * pixels * 64 * width)


def _count(name: str, value: Any, minimum: int = 1) -> int:
    # TensorFlow and Keras count in fewer bits than Python.
    return values.integer(name, value, minimum, maximum=2**31 - 1)


def _fields(
    of: Any,
    check: Any,
    names: Iterable[str],
    optional: Iterable[str] = (),
    **limits: Any,
) -> dict[str, Any]:
    """Returns fields as `check` returns them; those that are optional may be None."""
    checked = {name: check(name, getattr(of, name), **limits) for name in names}
    for name in optional:
        value = getattr(of, name)
        checked[name] = None if value is None else check(name, value, **limits)
    return checked
