"""What is trained, as values: a preset, and the settings of Adam that it may name."""

from __future__ import annotations

import dataclasses
from typing import Any

from training import values


@dataclasses.dataclass(frozen=True)
class Setting:
    """Adam's hyper-parameters and `n_dis`: a row of the paper's table 1.

    Attributes:
        learning_rate: α.
        beta_1: β₁.
        beta_2: β₂.
        discriminator_steps: `n_dis`, updates of D per update of G.
    """

    learning_rate: float
    beta_1: float
    beta_2: float
    discriminator_steps: int


SETTINGS: dict[str, Setting] = {
    "A": Setting(1e-4, 0.5, 0.9, 5),
    "B": Setting(1e-4, 0.5, 0.999, 1),
    "C": Setting(2e-4, 0.5, 0.999, 1),
    "D": Setting(1e-3, 0.5, 0.9, 5),
    "E": Setting(1e-3, 0.5, 0.999, 5),
    "F": Setting(1e-3, 0.9, 0.999, 5),
    "ResNet": Setting(2e-4, 0.0, 0.9, 5),
}
PRECISIONS = ("float32", "mixed_bfloat16")


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is trained, on what, and how: all that decides the resulting weights.

    Each field is an option of `python -m training fit`; its help is in the field's
    metadata. `training.runs.checks.preset` says what values a field may have.
    """

    name: str
    description: str
    data: str = _option("mnist5k", "images: the path of a folder, or a name")
    split: float = _option(
        0.0, "share of a folder of images that is held out of training, for scores"
    )
    background: str = _option(
        "white", "colour that transparent images of a folder are laid on"
    )
    skip_broken: bool = _option(
        False, "whether to go on without images of a folder that can't be decoded"
    )
    image_size: int = _option(32, "height and width of the images in pixels")
    network: str = _option("cnn", "architecture of G and D")
    normalizer: str = _option("spectral", "what is done to D's layers")
    loss: str = _option("hinge", "adversarial loss")
    gradient_penalty: float = _option(0.0, "λ of the gradient penalty, 0 for none")
    conditioning: str | None = _option(None, "how labels enter D")
    width_multiplier: float = _option(1.0, "multiplies the channels of hidden layers")
    last_width_multiplier: float | None = _option(
        None, "besides, multiplies those of D's last convolution or block; none: 1"
    )
    latent_dim: int = _option(128, "length of the latent vectors")
    batch_size: int = _option(64, "real images in an update of D, over all devices")
    generator_batch_size: int | None = _option(
        None, "images in an update of G; none: as in an update of D"
    )
    setting: str = _option("C", "Adam's hyper-parameters and n_dis of the paper")
    learning_rate: float | None = _option(None, "α; none: the setting's")
    beta_1: float | None = _option(None, "β₁; none: the setting's")
    beta_2: float | None = _option(None, "β₂; none: the setting's")
    discriminator_steps: int | None = _option(
        None, "updates of D per update of G; none: the setting's"
    )
    steps: int = _option(100_000, "updates of G")
    decay_steps: int = _option(
        0, "updates at the end over which the learning rate falls linearly to 0"
    )
    ema: float = _option(0.0, "momentum of an average of G's weights, 0 for none")
    ema_ramp: bool = _option(
        False, "whether that momentum grows from 0, as t / (t + 9) at step t"
    )
    augmentation: str | None = _option(
        None, "what D sees all images through: color, translation and cutout, by commas"
    )
    flips: bool = _option(
        False, "whether half of the real images are mirrored, anew in each epoch"
    )
    synchronized: bool = _option(
        False,
        "whether G's batch norm takes the statistics of all devices' images together",
    )
    precision: str = _option("float32", "float32 or mixed_bfloat16")
    seed: int = _option(0, "seed of weights, latents and the order of the images")

    def resolved(self) -> Preset:
        """Returns this with the setting's numbers where fields leave them to it.

        Raises:
            TypeError: if the setting is no name.
            ValueError: if there is no such setting.
        """
        setting = SETTINGS[values.name("setting", self.setting, SETTINGS)]
        from_setting = {
            name: value
            for name, value in dataclasses.asdict(setting).items()
            if getattr(self, name) is None
        }
        return dataclasses.replace(self, **from_setting)

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as plain JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Returns what fields have that nothing else is said of, as plain JSON."""
        return {
            field.name: field.default
            for field in dataclasses.fields(cls)
            if field.default is not dataclasses.MISSING
        }
