"""What decides about each of the paper's claims: the marks of docs/claims.md.

A judge takes what an experiment's JSON files hold, one or several of a seed each, and
returns the numbers that decide, in words, and one of `HOLDS`, `FAILS` and `OPEN`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from training.experiments.shared.results import distinct
from training.experiments.singular_values import squared

HOLDS, FAILS, OPEN = "holds", "doesn't", "can't tell"

# The settings of Adam in which claim a is tried.
_SETTINGS = ("A", "C", "F")

Result = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]
Judge = Callable[[Sequence[Result]], tuple[str, str]]


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


def robust(read: Sequence[Result]) -> tuple[str, str]:
    """a: each other method fails somewhere, SN nowhere."""
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
    missing = [setting for setting in _SETTINGS if setting not in settings]
    if missing:
        measured += f"; {', '.join(missing)} not run"
    fails = bool(failing["spectral"]) or not (any(others) or missing)
    return measured, _decided(not (fails or missing) and all(others), fails)


def order(read: Sequence[Result]) -> tuple[str, str]:
    """b: four pairs seed by seed, and orthonormal's distance from SN."""
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


def spread(read: Sequence[Result]) -> tuple[str, str]:
    """c: in how many convolutions SN's singular values are the most spread."""
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


def growing(
    column: str,
    last: float,
    other: str,
    overall: Callable[[list[float], list[float]], float],
) -> Judge:
    """d, g: returns a judge of how FCD grows from a column's value 1 to `last`.

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


def of_means(first: list[float], last: list[float]) -> float:
    """Returns how the seeds' mean grows."""
    return _ratio(_mean(last), _mean(first))


def mean_of_ratios(first: list[float], last: list[float]) -> float:
    """Returns the mean of how each seed's grows."""
    return _mean(_ratio(b, a) for a, b in zip(first, last, strict=True))


def near_one(read: Sequence[Result]) -> tuple[str, str]:
    """e: the share of σ₁ from update 500 on that lies near 1; 0 if one diverged."""
    shares, ranges = [], []
    for result in read:
        values = [
            value
            for row in result["rows"]
            for step, value in zip(row["steps"], row["values"], strict=True)
            if step >= 500
        ]
        share = _mean(0.99 <= value <= 1.1 for value in values)
        shares.append(0.0 if result.get("diverged") else share)
        ranges += values
    measured = f"{_joined(f'{share:.1%}' for share in shares)} of σ₁ in [0.99, 1.10]"
    if ranges:
        measured += f"; all in [{min(ranges):.3f}, {max(ranges):.3f}]"
    return measured, _decided(min(shares) >= 0.95, max(shares) < 0.8)


def time(read: Sequence[Result]) -> tuple[str, str]:
    """f: medians of the ratios to weight normalization, round by round."""
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


def reparametrized(read: Sequence[Result]) -> tuple[str, str]:
    """h: two pairs, the collapse of Frobenius' form, and the critic's excess."""
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


def collapse(read: Sequence[Result]) -> tuple[str, str]:
    """i: whose last scores fell off, or whose images are all alike."""
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
