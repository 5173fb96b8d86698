"""How many images a score rests on: without it no two scores compare."""

from __future__ import annotations

import dataclasses

from training import values


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Numbers of images, and which real ones.

    Attributes:
        name: short name, part of file names.
        n_real: real images; all there are if the split has fewer.
        n_fake: generated images for all scores but the Inception score.
        splits: parts of the Inception score.
        split_size: generated images in each.
        split: the real images' split; where the data has no such split, all of it.
    """

    name: str
    n_real: int
    n_fake: int
    splits: int
    split_size: int
    split: str

    def __post_init__(self) -> None:
        for field in ("n_real", "n_fake", "split_size"):
            values.integer(field, getattr(self, field), minimum=2)
        values.integer("splits", self.splits)

    @property
    def generated(self) -> int:
        """Number of images to generate."""
        return max(self.n_fake, self.splits * self.split_size)


PROTOCOLS = {
    # 10 × 5,000 for IS, 10,000 test images against 5,000 for FID: Miyato et al. 2018.
    "paper": Protocol("paper", 10_000, 5_000, 10, 5_000, "test"),
    # What most papers since report: 50,000 against the training images.
    "50k": Protocol("50k", 50_000, 50_000, 10, 5_000, "train"),
}
