"""The paper's claims, decided by the marks of docs/claims.md from experiments' JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from training.experiments.shared.results import distinct
from training.experiments.singular_values import squared
from training.tables import markdown

HOLDS, FAILS, OPEN = "holds", "doesn't", "can't tell"

Result = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]

# What asks for no ranks of seeds: times, and collapses.
_ONE_SEED = ("f", "i")


class Verdict(NamedTuple):
    """What came out about a claim.

    Attributes:
        claim: the paper's words in short.
        measured: the numbers that decide, in words.
        answer: `HOLDS`, `FAILS` or `OPEN`.
    """

    claim: str
    measured: str
    answer: str


def verdicts(folder: Path) -> dict[str, Verdict]:
    """Returns a verdict for each claim that a folder has results of.

    Args:
        folder: has `LETTER.json`, or `LETTER-seedN.json` a seed.
    """
    found = {}
    for letter, (claim, judge) in _CLAIMS.items():
        paths = sorted(folder.glob(f"{letter}.json")) + sorted(
            folder.glob(f"{letter}-*.json")
        )
        if paths:
            read = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
            verdict = Verdict(claim, *judge(read))
            if letter not in _ONE_SEED and _seeds(read) < 2:
                verdict = verdict._replace(answer=OPEN)
            found[letter] = verdict
    return found


def table(found: Mapping[str, Verdict]) -> str:
    """Returns all claims as a Markdown table, those without results as open."""
    cells = [["", "the paper says", "measured", "here"]]
    for letter, (claim, _) in _CLAIMS.items():
        one = found.get(letter, Verdict(claim, "", "open: not run"))
        cells.append([letter, *one])
    return markdown(cells)


def _seeds(read: Sequence[Result]) -> int:
    """Returns how many seeds there are: those of the rows, or a file's own."""
    found = {
        row.get("seed", result["base"]["seed"])
        for result in read
        for row in result["rows"]
    }
    return len(found)


def _rows(read: Sequence[Result]) -> list[Mapping[str, Any]]:
    return [row for result in read for row in result["rows"]]


def _fcd(rows: Rows, **wanted: Any) -> list[float]:
    """Returns the distances of rows with these values, infinite where one diverged."""
    chosen = [row for row in rows if all(row[k] == v for k, v in wanted.items())]
    return [row["scores"].get("FCD", math.inf) for row in chosen]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else math.nan


def _ratio(value: float, base: float) -> float:
    """Returns value / base, NaN (so that nothing is decided) if the base diverged."""
    return value / base if math.isfinite(base) else math.nan


def _decided(holds: bool, fails: bool) -> str:
    return HOLDS if holds else FAILS if fails else OPEN


def _before(better: Sequence[float], worse: Sequence[float]) -> str:
    return _decided(max(better) < min(worse), max(worse) < min(better))


def _robust(read: Sequence[Result]) -> tuple[str, str]:
    rows = _rows(read)
    methods, settings = distinct(rows, "method"), distinct(rows, "setting")
    failing: dict[str, list[str]] = {method: [] for method in methods}
    for setting in settings:
        means = {m: _mean(_fcd(rows, method=m, setting=setting)) for m in methods}
        for method, value in means.items():
            if not value <= 1.5 * min(means.values()) < math.inf:
                failing[method].append(setting)
    others = [failing[method] for method in methods if method != "spectral"]
    measured = "; ".join(
        f"{method} fails in {', '.join(where) or 'none'}"
        for method, where in failing.items()
    )
    fails = bool(failing["spectral"]) or not any(others)
    return measured, _decided(not fails and all(others), fails)


def _order(read: Sequence[Result]) -> tuple[str, str]:
    rows = _rows(read)
    fcd = {method: _fcd(rows, method=method) for method in distinct(rows, "method")}
    pairs = {
        "SN before WN": ("spectral", "weight-norm"),
        "SN before clipping": ("spectral", "weight-clipping"),
        "WN before clipping": ("weight-norm", "weight-clipping"),
        "hinge before standard": ("spectral-hinge", "spectral"),
    }
    parts = {name: _before(fcd[a], fcd[b]) for name, (a, b) in pairs.items()}
    low, high = sorted(_mean(fcd[m]) for m in ("spectral", "orthonormal"))
    times = _ratio(high, low)
    parts["orthonormal about as SN"] = _decided(times <= 1.15, times > 1.3)
    fails = FAILS in (parts["SN before WN"], parts["SN before clipping"])
    return _listed(parts), _decided(set(parts.values()) == {HOLDS}, fails)


def _listed(parts: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {answer}" for name, answer in parts.items())


def _spread(read: Sequence[Result]) -> tuple[str, str]:
    counts = []
    for result in read:
        sums: dict[str, dict[str, float]] = {}
        for row in result["rows"]:
            if row["layer"].startswith("conv"):
                sums.setdefault(row["layer"], {})[row["method"]] = squared(row).sum()
        counts.append(
            sum(max(by, key=by.__getitem__) == "spectral" for by in sums.values())
        )
    measured = f"SN's spread is the largest in {_joined(counts)} of 7 convolutions"
    return measured, _decided(min(counts) >= 6, max(counts) <= 3)


def _joined(values: Iterable[Any]) -> str:
    return " and ".join(str(value) for value in values)


def _growing(
    column: str,
    last: float,
    other: str,
    overall: Callable[[list[float], list[float]], float],
) -> Callable[[Sequence[Result]], tuple[str, str]]:
    """Returns a judge of how FCD grows from a column's value 1 to `last`.

    Args:
        column: what grows.
        last: its largest value.
        other: the method that SN is compared with.
        overall: from SN's distances at 1 and at `last`, seed by seed, to their ratio.
    """

    def judge(read: Sequence[Result]) -> tuple[str, str]:
        rows = _rows(read)
        ends = {
            method: [
                [
                    _fcd(rows, method=method, seed=seed, **{column: value})[0]
                    for seed in distinct(rows, "seed")
                ]
                for value in (1, last)
            ]
            for method in ("spectral", other)
        }
        grown = {
            method: [_ratio(b, a) for a, b in zip(*both, strict=True)]
            for method, both in ends.items()
        }
        ours, theirs = grown["spectral"], grown[other]
        limit = overall(*ends["spectral"]) <= 1.1
        worse = all(b > a for a, b in zip(ours, theirs, strict=True))
        better = all(b <= a for a, b in zip(ours, theirs, strict=True))
        measured = "; ".join(
            f"{method}: FCD × {_joined(f'{value:.2f}' for value in values)}"
            for method, values in grown.items()
        )
        return measured, _decided(worse and min(theirs) > 1 and limit, better)

    return judge


def _of_means(first: list[float], last: list[float]) -> float:
    return _ratio(_mean(last), _mean(first))


def _mean_of_ratios(first: list[float], last: list[float]) -> float:
    return _mean(_ratio(b, a) for a, b in zip(first, last, strict=True))


def _near_one(read: Sequence[Result]) -> tuple[str, str]:
    shares, ranges = [], []
    for result in read:
        values = [
            value
            for row in result["rows"]
            for step, value in zip(row["steps"], row["values"], strict=True)
            if step >= 500
        ]
        diverged = any(row.get("diverged") for row in result["rows"])
        shares.append(
            0.0 if diverged else _mean(0.99 <= value <= 1.1 for value in values)
        )
        ranges += values
    measured = f"{_joined(f'{share:.1%}' for share in shares)} of σ₁ in [0.99, 1.10]"
    if ranges:
        measured += f"; all in [{min(ranges):.3f}, {max(ranges):.3f}]"
    return measured, _decided(min(shares) >= 0.95, max(shares) < 0.8)


def _time(read: Sequence[Result]) -> tuple[str, str]:
    seconds = {row["method"]: np.array(row["seconds"]) for row in _rows(read)}
    ratios = {
        name: float(np.median(taken / seconds["weight-norm"]))
        for name, taken in seconds.items()
    }
    of_wn = ratios["spectral"]
    others = max(value for name, value in ratios.items() if name != "wgan-gp")
    of_slowest = ratios["wgan-gp"] / others
    measured = f"SN {of_wn:.2f} × WN; WGAN-GP {of_slowest:.2f} × the next slowest"
    return measured, _decided(
        of_wn <= 1.25 and of_slowest >= 1.1, of_wn > 1.5 or of_slowest < 1
    )


def _reparametrized(read: Sequence[Result]) -> tuple[str, str]:
    rows = _rows(read)
    names = ("", "-spectral-gamma", "-weight-norm-gamma", "-frobenius-gamma")
    none, ours, weight, frobenius = (
        [row for row in rows if row["method"] == f"cnn-wgan-gp{name}"] for name in names
    )
    collapse = _ratio(_mean(_fcd(frobenius)), _mean(_fcd(none)))
    gaps = [[_overfitting(row) for row in part] for part in (ours, none)]
    pairs = list(zip(*gaps, strict=True))
    parts = {
        "SN γ before none": _before(_fcd(ours), _fcd(none)),
        "SN γ before WN γ": _before(_fcd(ours), _fcd(weight)),
        f"Frobenius γ collapses (FCD × {collapse:.2f})": _decided(
            collapse > 1.5, collapse <= 1.1
        ),
        "SN γ overfits less": _decided(
            all(a < b for a, b in pairs), all(a > b for a, b in pairs)
        ),
    }
    answers = list(parts.values())
    return _listed(parts), _decided(set(answers) == {HOLDS}, answers[0] == FAILS)


def _overfitting(row: Mapping[str, Any]) -> float:
    """Returns how much larger the critic's loss is on new images, as a share."""
    curves = row["critic_loss"]
    if row["diverged"] or not curves["train"]["values"]:
        return math.inf
    train, new = (_mean(curves[k]["values"][-5:]) for k in ("train", "validation"))
    return (new - train) / abs(train)


def _collapse(read: Sequence[Result]) -> tuple[str, str]:
    rows = {row["method"]: row for row in _rows(read)}
    last = {name: _fcd([row])[0] for name, row in rows.items()}
    alike = {n: row["curves"]["intra_ms_ssim"]["values"] for n, row in rows.items()}
    ours = alike["concat-spectral"]

    def collapsed(name: str) -> bool:
        curve = rows[name]["curves"].get("FCD", {"values": []})["values"]
        return (
            not math.isfinite(last[name])
            or last[name] > 1.5 * min([*curve, last[name]])
            or last[name] > 2 * min(last.values())
            or (bool(ours) and bool(alike[name]) and alike[name][-1] > ours[-1] + 0.1)
        )

    found = {name: collapsed(name) for name in rows}
    measured = "; ".join(
        f"{name}: FCD {last[name]:.4g}, MS-SSIM "
        + (f"{alike[name][-1]:.2f}" if alike[name] else "none")
        + (", collapsed" if found[name] else "")
        for name in rows
    )
    others = [value for name, value in found.items() if name != "concat-spectral"]
    fails = found["concat-spectral"] or not any(others)
    return measured, _decided(not fails and all(others), fails)


_CLAIMS: dict[str, tuple[str, Callable[[Sequence[Result]], tuple[str, str]]]] = {
    "a": ("SN is robust over settings, others fail somewhere", _robust),
    "b": ("SN before WN before clipping; hinge better", _order),
    "c": ("singular values spread under SN", _spread),
    "d": (
        "orthonormal loses as the last dimension grows, SN doesn't",
        _growing("factor", 8, "orthonormal", _of_means),
    ),
    "e": ("σ₁ stays near 1", _near_one),
    "f": ("SN about as fast as WN, WGAN-GP slower", _time),
    "g": (
        "WN gets worse with n_dis, SN doesn't",
        _growing("n_dis", 10, "weight-norm", _mean_of_ratios),
    ),
    "h": ("SN's γ form is the best under WGAN-GP", _reparametrized),
    "i": ("with classes, SN trains on where others collapse", _collapse),
}
