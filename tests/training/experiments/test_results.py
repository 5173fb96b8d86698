"""docs/experiments.md says what docs/results/ holds, and nothing else."""

import importlib
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from training.experiments import EXPERIMENTS, claims, judges

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "experiments.md").read_text(encoding="utf-8")
RESULTS = sorted((DOCS / "results").glob("*.json"))


def test_the_verdicts_are_those_of_the_results():
    assert claims.table(claims.verdicts(DOCS / "results")) in PAGE


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_tables_and_figures_are_made_of_the_results(path, tmp_path):
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["experiment"] in EXPERIMENTS
    name = result["experiment"].replace("-", "_")
    experiment = importlib.import_module(f"training.experiments.{name}")
    assert experiment.tables(result) in PAGE
    experiment.draw(result, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as made:
        with Image.open(DOCS / f"experiment-{path.stem}.png") as shown:
            assert made.size == shown.size
    assert path.stat().st_size < 200_000
    # Data lie below where the command ran, not at a path of some machine.
    assert not re.search(r'[":]/', path.read_text(encoding="utf-8"))


def rows(**fcd):
    """A run a value: `method_SETTING=[FCD of each seed]`."""
    return [
        {"method": method, "setting": setting, "seed": seed, "scores": {"FCD": value}}
        for name, values in fcd.items()
        for method, setting in [name.split("__")]
        for seed, value in enumerate(values)
    ]


def robustness(spectral_f):
    one = {"scores": {}, "method": "wgan-gp", "setting": "F", "seed": 0}
    found = rows(
        spectral__A=[10, 12],
        wgan__A=[11, 11],
        spectral__F=[spectral_f, spectral_f],
        clipping__A=[30, 30],
        clipping__F=[20, 20],
        spectral__C=[10, 10],
        clipping__C=[10, 10],
    )
    for row in found:
        row["method"] = {"wgan": "wgan-gp"}.get(row["method"], row["method"])
    return [{"rows": [*found, one]}]


@pytest.mark.parametrize(
    ("spectral_f", "answer"), [(20, "holds"), (29, "holds"), (31, "doesn't")]
)
def test_robust_is_within_1_5_of_the_best_everywhere(spectral_f, answer):
    """Clipping fails in A; WGAN-GP diverged in F, which is a failure too."""
    measured, found = judges.robust(robustness(spectral_f))
    assert found == answer and "wgan-gp fails in F" in measured


@pytest.mark.parametrize(
    ("better", "worse", "answer"),
    [
        ([1, 2], [3, 4], "holds"),
        ([3, 4], [1, 2], "doesn't"),
        ([1, 3], [2, 4], "can't tell"),
        ([1, 2], [3, float("inf")], "holds"),
        ([float("inf")], [float("inf")], "can't tell"),
    ],
)
def test_a_pair_needs_each_seed(better, worse, answer):
    assert judges._before(better, worse) == answer


@pytest.mark.parametrize(
    ("spectral_a", "answer"), [(12, "can't tell"), (46, "doesn't")]
)
def test_a_setting_that_was_not_run_can_only_fail(spectral_a, answer):
    one = rows(spectral__A=[spectral_a], clipping__A=[30])
    one += rows(spectral__C=[10], clipping__C=[16])
    measured, found = judges.robust([{"rows": one}])
    assert found == answer and measured.endswith("; F not run")


def growing(ours, theirs):
    return [
        {
            "rows": [
                {"method": m, "factor": f, "seed": s, "scores": {"FCD": value}}
                for m, by_factor in (("spectral", ours), ("orthonormal", theirs))
                for f, values in by_factor.items()
                for s, value in enumerate(values)
            ]
        }
    ]


def judged_growing(ours, theirs, before=(10, 10)):
    result = growing({1: before, 8: ours}, {1: before, 8: theirs})
    return claims._CLAIMS["d"][1](result)[1]


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [
        ([10, 10], [15, 12], "holds"),
        ([12, 12], [15, 13], "can't tell"),
        ([10, 10], [15, 9], "can't tell"),
        ([15, 12], [10, 12], "doesn't"),
    ],
)
def test_growing_compares_seed_by_seed(ours, theirs, answer):
    assert judged_growing(ours, theirs) == answer


def test_what_diverged_counts_as_the_worst_or_decides_nothing():
    nothing = float("inf")
    assert judged_growing([10, 10], [nothing, 12]) == "holds"
    assert judged_growing([nothing, 10], [12, 12]) == "can't tell"
    # Nothing is known of how it grew if it diverged at the least value.
    assert judged_growing([10, 10], [12, 12], before=[nothing, 10]) == "can't tell"
    everywhere = robustness(20)[0]["rows"]
    for row in everywhere:
        row["scores"] = {} if row["setting"] == "F" else row["scores"]
    measured, found = judges.robust([{"rows": everywhere}])
    assert found == "doesn't" and "spectral fails in F" in measured


def test_growth_of_the_seeds_means_or_mean_of_their_growth():
    """d's mark is r of the seeds' means, 1.14 here; g's is the mean of r, 1.10."""
    first, last = [10.0, 90.0], [10.5, 103.5]
    assert judges.of_means(first, last) == pytest.approx(1.14)
    assert judges.mean_of_ratios(first, last) == pytest.approx(1.10)


def test_near_one_looks_from_update_500_on():
    def judged(*values, diverged=()):
        steps = [50, 500, 550][: 1 + len(values)]
        row = {"steps": steps, "values": [9.0, *values]}
        return judges.near_one([{"rows": [row], "diverged": diverged}] * 2)[1]

    assert judged(1.0, 1.05) == "holds"
    assert judged(1.2, 1.3) == "doesn't"
    assert judged(1.0, 1.05, diverged={"spectral-seed0": "at 600"}) == "doesn't"
    assert judged(diverged={"spectral-seed0": "at 60"}) == "doesn't"
    assert judged() == "can't tell"


def test_time_takes_the_median_of_the_ratios():
    """Not the ratio of the medians, which is 1.17 here."""
    rounds = {
        "vanilla": [1, 1, 1, 1, 1],
        "weight-norm": [1, 1, 1.2, 2, 2],
        "spectral": [1.3, 1.3, 1.4, 2.6, 2.6],
        "wgan-gp": [2, 2, 2.4, 4, 4],
    }
    rows = [{"method": name, "seconds": taken} for name, taken in rounds.items()]
    assert judges.time([{"rows": rows}]) == (
        "SN 1.30 × WN; WGAN-GP 1.54 × the next slowest",
        "can't tell",
    )


def test_a_critic_that_diverged_overfits_without_end():
    curve = {"values": [-1.0]}
    row = {"critic_loss": {"train": curve, "validation": curve}, "diverged": None}
    assert judges._overfitting(row) == 0
    assert judges._overfitting({**row, "diverged": "at step 3"}) == float("inf")


def test_one_seed_decides_nothing_and_all_files_count(tmp_path):
    result = json.loads((DOCS / "results" / "d.json").read_text("utf-8"))
    for seed in (0, 1):
        part = [row for row in result["rows"] if row["seed"] == seed]
        text = json.dumps({**result, "rows": part})
        (tmp_path / f"d-seed{seed}.json").write_text(text, "utf-8")
        wanted = "holds" if seed else "can't tell"
        assert claims.verdicts(tmp_path)["d"].answer == wanted


def test_what_was_not_run_is_open():
    assert claims.table({}).count("open: not run") == 9


@pytest.mark.parametrize("letter", sorted(set(claims._CLAIMS) - {"e"}))
def test_a_method_that_was_not_run_leaves_a_claim_open(letter, tmp_path):
    for path in (DOCS / "results").glob(f"{letter}[.-]*json"):
        result = json.loads(path.read_text("utf-8"))
        lost = result["rows"][-1]["method"]
        result["rows"] = [row for row in result["rows"] if row["method"] != lost]
        (tmp_path / path.name).write_text(json.dumps(result), "utf-8")
    verdict = claims.verdicts(tmp_path)[letter]
    assert verdict[1:] == (f"{lost} not run", "can't tell")


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [("base", "steps", 5), ("conditions", "n_fake", 100), ("conditions", "graph", "")],
)
def test_results_that_do_not_compare_are_not_joined(part, field, value, tmp_path):
    result = json.loads((DOCS / "results" / "d.json").read_text("utf-8"))
    (tmp_path / "d-seed0.json").write_text(json.dumps(result), "utf-8")
    result[part][field] = value
    (tmp_path / "d-seed1.json").write_text(json.dumps(result), "utf-8")
    with pytest.raises(ValueError, match="Received: d-seed0.json, d-seed1.json"):
        claims.verdicts(tmp_path)
