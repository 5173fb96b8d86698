"""Times things in turns, and says what their times mean.

Two figures that were taken one after the other differ by what else the machine did
meanwhile. So every round runs each candidate once, every other round in reverse
order, and candidates are compared by the ratio within a round.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Summary:
    """A sample's median and spread.

    Attributes:
        median: the median.
        low: the lower quartile.
        high: the upper quartile.
        minimum: the least value.
        count: how many values.
    """

    median: float
    low: float
    high: float
    minimum: float
    count: int

    def __str__(self) -> str:
        return f"{self:.3f}"

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}}–{self.high:{spec}})"


def summarize(values: Sequence[float]) -> Summary:
    """Returns the summary of one value or more.

    Args:
        values: the sample.

    Raises:
        ValueError: if it is empty.
    """
    if not values:
        raise ValueError("`values` must hold one value or more. Received none.")
    low, high = values[0], values[0]
    if len(values) > 1:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Summary(statistics.median(values), low, high, min(values), len(values))


def timed(function: Callable[[], object]) -> Callable[[], float]:
    """Returns a function that calls `function` and returns the seconds it took.

    Args:
        function: what to time; it must wait for its own result.
    """

    def run() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return run


def interleave(
    candidates: Mapping[str, Callable[[], float]],
    rounds: int,
    warmup: int = 2,
    progress: Callable[[str], None] | None = None,
) -> dict[str, list[float]]:
    """Runs every candidate once a round.

    Args:
        candidates: for each name a function that runs once and returns the seconds.
        rounds: how many rounds count.
        warmup: how many rounds before them don't.
        progress: called with a line of text after each round.

    Returns:
        For each name the seconds of each round, in the rounds' order.

    Raises:
        ValueError: if `rounds` is less than 1.
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be 1 or more. Received: rounds={rounds!r}")
    names = list(candidates)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in range(-warmup, rounds):
        order = names if index % 2 == 0 else names[::-1]
        for name in order:
            taken = candidates[name]()
            if index >= 0:
                seconds[name].append(taken)
        if progress is not None and index >= 0:
            progress(f"round {index + 1} of {rounds}")
    return seconds


def paired_ratios(
    seconds: Mapping[str, Sequence[float]], base: str
) -> dict[str, Summary]:
    """Returns for each candidate the summary of its ratio to `base` in each round.

    Args:
        seconds: what `interleave` returned.
        base: the candidate to divide by.
    """
    return {
        name: summarize([t / b for t, b in zip(times, seconds[base], strict=True)])
        for name, times in seconds.items()
    }
