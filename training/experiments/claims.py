"""The paper's claims, decided by the marks of docs/claims.md from experiments' JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from training.experiments import judges
from training.tables import markdown

# What asks for no ranks of seeds: times, and collapses.
_ONE_SEED = ("f", "i")
# What a claim is about, and its experiment's rows must have.
_WGAN_GP = "cnn-wgan-gp"
_METHODS: dict[str, tuple[str, ...]] = {
    "a": ("spectral", "weight-norm", "weight-clipping", "wgan-gp"),
    "b": (
        "spectral",
        "spectral-hinge",
        "orthonormal",
        "weight-norm",
        "weight-clipping",
    ),
    "c": ("spectral", "weight-norm", "weight-clipping"),
    "d": ("spectral", "orthonormal"),
    "e": ("spectral",),
    "f": ("vanilla", "weight-norm", "spectral", "wgan-gp"),
    "g": ("spectral", "weight-norm"),
    "h": (
        _WGAN_GP,
        *(f"{_WGAN_GP}-{k}-gamma" for k in ("spectral", "weight-norm", "frobenius")),
    ),
    "i": ("concat-spectral", "concat-layer-norm", "concat-none"),
}
# What files of one claim may differ in: it isn't what they are of.
_OWN = ("name", "description", "seed")


class Verdict(NamedTuple):
    """What came out about a claim.

    Attributes:
        claim: the paper's words in short.
        measured: the numbers that decide, in words.
        answer: `judges.HOLDS`, `FAILS` or `OPEN`.
    """

    claim: str
    measured: str
    answer: str


def verdicts(folder: Path) -> dict[str, Verdict]:
    """Returns a verdict for each claim that a folder has results of.

    Args:
        folder: has `LETTER.json`, `LETTER-seedN.json` a seed, or other parts.

    Raises:
        ValueError: if files of one claim are of runs that don't compare.
    """
    found = {}
    for letter, (claim, judge) in _CLAIMS.items():
        paths = sorted(folder.glob(f"{letter}.json")) + sorted(
            folder.glob(f"{letter}-*.json")
        )
        if paths:
            read = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
            if not all(_compare(one, read[0], letter) for one in read):
                names = ", ".join(path.name for path in paths)
                raise ValueError(
                    "Results of a claim must be of one size, data and network to score "
                    f"by. Received: {names}"
                )
            rows = [row for result in read for row in result["rows"]]
            missing = set(_METHODS[letter]) - {row["method"] for row in rows}
            if missing:
                measured = f"{', '.join(sorted(missing))} not run"
                found[letter] = Verdict(claim, measured, judges.OPEN)
                continue
            verdict = Verdict(claim, *judge(read))
            if letter not in _ONE_SEED and _seeds(read) < 2:
                verdict = verdict._replace(answer=judges.OPEN)
            found[letter] = verdict
    return found


def table(found: Mapping[str, Verdict]) -> str:
    """Returns all claims as a Markdown table, those without results as open."""
    cells = [["", "the paper says", "measured", "here"]]
    for letter, (claim, _) in _CLAIMS.items():
        one = found.get(letter, Verdict(claim, "", "open: not run"))
        cells.append([letter, *one])
    return markdown(cells)


def _compare(one: judges.Result, other: judges.Result, letter: str) -> bool:
    """Whether results can be judged together, as far as both say what they rest on."""
    # For claim a methods are compared within a setting: each may have a classifier.
    own = {*_OWN, "graph"} if letter == "a" else set(_OWN)

    def equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
        return all(a[name] == b[name] for name in (a.keys() & b.keys()) - own)

    parts = ("base", "conditions")
    return all(equal(one.get(part, {}), other.get(part, {})) for part in parts)


def _seeds(read: Sequence[judges.Result]) -> int:
    """Returns how many seeds there are: those of the rows, or a file's own."""
    found = {
        row.get("seed", result["base"]["seed"])
        for result in read
        for row in result["rows"]
    }
    return len(found)


_CLAIMS: dict[str, tuple[str, judges.Judge]] = {
    "a": ("SN is robust over settings, others fail somewhere", judges.robust),
    "b": ("SN before WN before clipping; hinge better", judges.order),
    "c": ("singular values spread under SN", judges.spread),
    "d": (
        "orthonormal loses as the last dimension grows, SN doesn't",
        judges.growing("factor", 8, "orthonormal", judges.of_means),
    ),
    "e": ("σ₁ stays near 1", judges.near_one),
    "f": ("SN about as fast as WN, WGAN-GP slower", judges.time),
    "g": (
        "WN gets worse with n_dis, SN doesn't",
        judges.growing("n_dis", 10, "weight-norm", judges.mean_of_ratios),
    ),
    "h": ("SN's γ form is the best under WGAN-GP", judges.reparametrized),
    "i": ("with classes, SN trains on where others collapse", judges.collapse),
}
