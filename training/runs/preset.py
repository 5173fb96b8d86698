"""Every experiment of the paper by name, as values that can be held against it."""

from __future__ import annotations

import dataclasses
from typing import Any


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


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is trained, on what, and how: all that decides the resulting weights.

    Each field is an option of `python -m training fit`; its help is in the field's
    metadata.
    """

    name: str
    description: str
    data: str = _option("mnist5k", "images: the path of a folder, or a name")
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
    synchronized: bool = _option(
        False,
        "whether G's batch norm takes the statistics of all devices' images together",
    )
    precision: str = _option("float32", "float32 or mixed_bfloat16")
    seed: int = _option(0, "seed of weights, latents and the order of the images")

    def __post_init__(self) -> None:
        if not isinstance(self.setting, str) or self.setting not in SETTINGS:
            raise _out_of_range("setting", f"one of {list(SETTINGS)}", self.setting)

    def resolved(self) -> Preset:
        """Returns this with the setting's numbers where fields leave them to it.

        Raises:
            ValueError: if a field is out of its range.
        """
        from_setting = {
            name: value
            for name, value in dataclasses.asdict(SETTINGS[self.setting]).items()
            if getattr(self, name) is None
        }
        full = dataclasses.replace(self, **from_setting)
        full.check()
        return full

    def check(self) -> None:
        """Raises a ValueError if a field is out of its range.

        Whether there is a network, loss and so on of a name is not known here:
        `training.runs.fit` asks those that have them.
        """
        counts = ("image_size", "latent_dim", "batch_size", "discriminator_steps")
        for name in (*counts, "generator_batch_size", "steps"):
            value = getattr(self, name)
            if value is None and name == "generator_batch_size":
                continue
            if not _is_whole(value) or value < 1:
                raise _out_of_range(name, "an integer of 1 or more", value)
        highest = {
            "learning_rate": 10,
            "width_multiplier": 64,
            "last_width_multiplier": 64,
        }
        for name, high in highest.items():
            value = getattr(self, name)
            if value is None and name == "last_width_multiplier":
                continue
            if not _is_number(value) or not 0 < value <= high:
                raise _out_of_range(name, f"in (0, {high}]", value)
        for name in ("beta_1", "beta_2", "ema"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value < 1:
                raise _out_of_range(name, "in [0, 1)", value)
        penalty = self.gradient_penalty
        if not _is_number(penalty) or not 0 <= penalty < float("inf"):
            raise _out_of_range("gradient_penalty", "0 or more", penalty)
        if not _is_whole(self.decay_steps) or not 0 <= self.decay_steps <= self.steps:
            raise _out_of_range(
                "decay_steps", f"between 0 and `steps` ({self.steps})", self.decay_steps
            )
        if not _is_whole(self.seed) or not 0 <= self.seed < 2**31:
            raise _out_of_range("seed", "in [0, 2³¹)", self.seed)
        for name in ("data", "network", "normalizer", "loss", "conditioning"):
            value = getattr(self, name)
            if value is None and name == "conditioning":
                continue
            if not isinstance(value, str) or not value:
                raise _out_of_range(name, "a name", value)
        if not isinstance(self.synchronized, bool):
            raise _out_of_range("synchronized", "a bool", self.synchronized)
        if self.precision not in ("float32", "mixed_bfloat16"):
            raise _out_of_range(
                "precision", "'float32' or 'mixed_bfloat16'", self.precision
            )

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as plain JSON."""
        return dataclasses.asdict(self)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _out_of_range(name: str, wanted: str, value: Any) -> ValueError:
    return ValueError(f"`{name}` must be {wanted}. Received: {name}={value!r}")


def get(name: str) -> Preset:
    """Returns the preset of that name.

    Raises:
        ValueError: if there is none; the message lists the known names.
    """
    if name not in PRESETS:
        raise ValueError(
            f"`preset` must be one of {list(PRESETS)}. Received: preset={name!r}"
        )
    return PRESETS[name]


# Rows that the paper has for CIFAR-10 alone.
_NOT_IN_TABLE_2 = ("stl10-cnn", "stl10-cnn-batch-norm", "stl10-cnn-gan-gp")


def _cnn(data: str, name: str, what: str, **changes: Any) -> Preset:
    size = {"cifar10": 32, "stl10": 48}[data]
    title = {"cifar10": "CIFAR-10", "stl10": "STL-10"}[data]
    table = "beside table 2" if f"{data}-cnn{name}" in _NOT_IN_TABLE_2 else "table 2"
    return Preset(
        name=f"{data}-cnn{name}",
        description=f"{table}, {title}, standard CNN: {what}",
        **{"data": data, "image_size": size, **changes},
    )


def _resnet(data: str, name: str, what: str, **changes: Any) -> Preset:
    title = {"cifar10": "CIFAR-10", "stl10": "STL-10"}[data]
    return dataclasses.replace(
        _cnn(data, "", what),
        name=f"{data}-resnet{name}",
        description=f"table 2, {title}, ResNet: {what}",
        **{"network": "resnet", "setting": "ResNet", **changes},
    )


# The paper gives the best of the settings A to F for each row and doesn't say which
# it was. C serves all but the Wasserstein and penalized ones, whose authors train D
# five times with A's rate.
_WGAN_GP = {
    "normalizer": "none",
    "loss": "wasserstein",
    "gradient_penalty": 10.0,
    "setting": "A",
}


_BASELINE = {"cifar10": "WGAN-GP, also the baseline of table 7", "stl10": "WGAN-GP"}


def _table_2() -> list[Preset]:
    presets = []
    for data in ("cifar10", "stl10"):
        presets += [
            _cnn(data, "", "SN, hinge loss"),
            _cnn(data, "-spectral", "SN", loss="standard"),
            *(
                _cnn(data, f"-{name}", what, loss="standard", normalizer=name)
                for name, what in (
                    ("weight-clipping", "weight clipping"),
                    ("batch-norm", "batch normalization in D"),
                    ("layer-norm", "layer normalization in D"),
                    ("weight-norm", "weight normalization"),
                    ("orthonormal", "orthonormal regularization"),
                )
            ),
            _cnn(data, "-wgan-gp", _BASELINE[data], **_WGAN_GP),
            _cnn(data, "-gan-gp", "GAN-GP", **{**_WGAN_GP, "loss": "standard"}),
            _resnet(data, "", "SN, hinge loss"),
            _resnet(
                data,
                "-orthonormal",
                "orthonormal regularization, hinge loss",
                normalizer="orthonormal",
            ),
        ]
    twice = {"steps": 200_000}
    return [
        *presets,
        _cnn("stl10", "-spectral-2x", "SN, 2x updates", loss="standard", **twice),
        _cnn("stl10", "-2x", "SN, hinge loss, 2x updates", **twice),
    ]


def _reparameterized(base: Preset, row: str, normalizer: str) -> Preset:
    method = {
        "frobenius-gamma": "Frobenius normalization",
        "weight-norm-gamma": "weight normalization",
        "spectral-gamma": "SN",
    }[normalizer]
    return dataclasses.replace(
        base,
        name=f"{base.name}-{normalizer}",
        description=f"{row}, {method} with γ",
        normalizer=normalizer,
    )


def _tables_7_and_8() -> list[Preset]:
    cnn = _cnn("cifar10", "-wgan-gp", "WGAN-GP", **_WGAN_GP)
    resnet = _resnet(
        "cifar10", "-wgan-gp", "WGAN-GP", **{**_WGAN_GP, "setting": "ResNet"}
    )
    resnet = dataclasses.replace(resnet, description="table 7, ResNet: WGAN-GP")
    with_labels = dataclasses.replace(
        resnet,
        name="cifar10-resnet-ac-wgan-gp",
        description="table 8, ResNet with labels: AC-WGAN-GP",
        conditioning="auxiliary",
    )
    return [
        *(
            _reparameterized(cnn, "table 7, standard CNN: WGAN-GP", normalizer)
            for normalizer in ("frobenius-gamma", "weight-norm-gamma", "spectral-gamma")
        ),
        resnet,
        _reparameterized(resnet, resnet.description, "spectral-gamma"),
        with_labels,
        _reparameterized(with_labels, with_labels.description, "spectral-gamma"),
    ]


def _imagenet() -> list[Preset]:
    concat = Preset(
        name="imagenet-concat",
        description="figures 6 and 8, conditional, labels concatenated in D: SN",
        data="imagenet",
        image_size=128,
        network="resnet",
        conditioning="concat",
        setting="ResNet",
        generator_batch_size=128,
        steps=450_000,
        decay_steps=50_000,
    )
    return [
        concat,
        dataclasses.replace(
            concat,
            name="imagenet-concat-orthonormal",
            description="figure 6, conditional, concat: orthonormal regularization",
            normalizer="orthonormal",
        ),
        dataclasses.replace(
            concat,
            name="imagenet-projection",
            description="the authors' projection discriminator: SN",
            conditioning="projection",
        ),
    ]


_DEMO = Preset(
    name="mnist-demo",
    description="5,000 embedded digits, standard CNN at a quarter of its width, SN",
    data="mnist5k",
    width_multiplier=0.25,
    steps=1_500,
)

PRESETS: dict[str, Preset] = {
    one.name: one for one in (_DEMO, *_table_2(), *_tables_7_and_8(), *_imagenet())
}
