import pytest

from benchmarks.shared import tables, timing


def test_summary_of_a_known_sample():
    summary = timing.summarize([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (summary.median, summary.low, summary.high) == (3.0, 2.0, 4.0)
    assert (summary.minimum, summary.count) == (1.0, 5)


def test_summary_of_one_value_has_no_spread():
    summary = timing.summarize([2.0])
    assert (summary.low, summary.median, summary.high) == (2.0, 2.0, 2.0)


def test_summary_of_nothing_is_refused():
    with pytest.raises(ValueError, match="`values`"):
        timing.summarize([])


def test_every_round_runs_each_candidate_once_in_turning_order():
    calls = []

    def candidate(name):
        def run():
            calls.append(name)
            return float(len(calls))

        return run

    seconds = timing.interleave(
        {"a": candidate("a"), "b": candidate("b")}, rounds=2, warmup=1
    )
    assert calls == ["b", "a", "a", "b", "b", "a"]
    assert seconds == {"a": [3.0, 6.0], "b": [4.0, 5.0]}


def test_rounds_below_one_are_refused():
    with pytest.raises(ValueError, match="`rounds`.*rounds=0"):
        timing.interleave({"a": lambda: 1.0}, rounds=0)


def test_ratios_are_taken_within_a_round():
    # The machine halved its speed in the second round: the ratio doesn't see it.
    seconds = {"base": [1.0, 2.0, 1.0], "other": [1.1, 2.2, 1.1]}
    ratios = timing.paired_ratios(seconds, "base")
    assert ratios["base"].median == 1.0
    assert ratios["other"].low == pytest.approx(1.1)
    assert ratios["other"].high == pytest.approx(1.1)


def test_a_timed_function_returns_its_seconds():
    ran = []
    assert timing.timed(lambda: ran.append(1))() >= 0
    assert ran == [1]


def test_tables_align_columns(capsys):
    tables.show("Title", ["name", "ms"], [["a", 1.23456], ["long", 10]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Title"
    assert lines[-2:] == ["a     1.23", "long    10"]
