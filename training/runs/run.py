"""A run's parts, and how it ended."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from training.devices import strategies
from training.runs.callbacks.measurements import Measurement
from training.runs.interruption import Interruption
from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage.checkpoints import Checkpoints
from training.storage.folder import RunFolder
from training.versions import versions


@dataclasses.dataclass(frozen=True)
class Run:
    """What the functions that carry out a run have in common.

    Attributes:
        folder: the run's folder.
        preset: what is trained, checked.
        options: how, checked.
        source: the images.
        strategy: the devices.
        say: gets a line of text now and then.
        measurements: what else to write to the run's metrics.
        interruption: knows whether the run was asked to stop.
    """

    folder: RunFolder
    preset: Preset
    options: RunOptions
    source: Any
    strategy: tf.distribute.Strategy
    say: Callable[[str], None]
    measurements: Sequence[Measurement] = ()
    interruption: Interruption = dataclasses.field(default_factory=Interruption)

    @functools.cached_property
    def position(self) -> tuple[int, int]:
        """This process' number among the workers, and how many there are."""
        return strategies.position(self.strategy)

    @property
    def chief(self) -> bool:
        """Whether this process is worker 0, the one that writes files."""
        return self.position[0] == 0

    @functools.cached_property
    def checkpoints(self) -> Checkpoints:
        """The folder's checkpoints; their folder is made when they are asked for."""
        return Checkpoints(self.folder.checkpoints, self.options.keep, self.folder.id())

    @functools.cached_property
    def network(self) -> Any:
        """The network of `inception` that the run is scored by, None if by another.

        Raises:
            ValueError: if the file is no such network.
        """
        if not (self.options.score_every and self.options.inception):
            return None
        from training.evaluation.choice import extractor_of_file

        return extractor_of_file("inception", self.options.inception)

    def tell(self, text: str | None) -> None:
        """Says a line, in the chief alone."""
        if self.chief and text is not None:
            self.say(text)

    def config(self) -> dict[str, Any]:
        """Returns config.json's content: the run, and what a user of G must know."""
        digest = getattr(self.source, "digest", None)
        source, conditional = self.source, self.preset.conditioning is not None
        return {
            "preset": self.preset.as_dict(),
            "data": {
                "image_shape": list(source.image_shape),
                "num_classes": source.num_classes,
                "images": len(source),
                **({} if digest is None else {"digest": digest}),
            },
            "generator": {
                "latent_dim": self.preset.latent_dim,
                "num_classes": source.num_classes if conditional else None,
                "class_names": source.class_names if conditional else None,
                "value_range": [-1.0, 1.0],
            },
            # What may differ each time: known here so that it needn't be said again.
            "options": dataclasses.asdict(self.options),
            "versions": versions(),
        }


@dataclasses.dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        folder: the run's folder.
        step: the step that was reached.
        finished: whether that was the last one.
        exit_code: 0, or 130 or 143 after Ctrl-C or SIGTERM, in the last step too; 143
            if another worker got it.
        chief: whether this process is the one that wrote the files.
        seconds: how long this process took for it.
    """

    folder: RunFolder
    step: int
    finished: bool
    exit_code: int
    chief: bool = True
    seconds: float = 0.0
