"""Arguments of every kind, right and wrong."""

import pathlib

import numpy as np
import pytest

from training import values


@pytest.mark.parametrize("value", [1, 7, np.int64(7), np.uint8(7), np.int32(1)])
def test_an_integer_of_any_make_becomes_pythons(value):
    assert type(values.integer("steps", value)) is int


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], np.float32(1), np.True_])
def test_what_is_no_integer_is_a_type_error(value):
    with pytest.raises(TypeError, match="`steps` must be an integer of 1 or more"):
        values.integer("steps", value)


@pytest.mark.parametrize("value", [0, -1, np.int8(0), 10])
def test_an_integer_out_of_range_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"an integer from 1 to 9\. Received: steps="):
        values.integer("steps", value, 1, 9)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float16(0.5)])
def test_a_number_of_any_make_becomes_pythons(value):
    assert type(values.number("ema", value, minimum=0, below=1)) is float


@pytest.mark.parametrize("value", [1.0, -0.1, float("nan"), 1])
def test_a_number_out_of_range_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"`ema` must be a number in \[0, 1\)\."):
        values.number("ema", value, minimum=0, below=1)


@pytest.mark.parametrize("value", [True, "0.5", None, 1j])
def test_what_is_no_number_is_a_type_error(value):
    with pytest.raises(TypeError, match="`ema` must be a number"):
        values.number("ema", value, minimum=0)


def test_infinity_is_in_no_range():
    with pytest.raises(ValueError, match="a number that is finite"):
        values.number("slope", float("inf"))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"above": 0}, "above 0"),
        ({"minimum": 0}, "of 0 or more"),
        ({"maximum": 2}, "of 2 or less"),
        ({"below": 2}, "below 2"),
        ({"above": 0, "maximum": 10}, r"in \(0, 10\]"),
    ],
)
def test_a_range_is_said_in_words(limits, words):
    with pytest.raises(ValueError, match=f"`x` must be a number {words}\\. "):
        values.number("x", float("nan"), **limits)


def test_a_name_that_is_nearly_known_is_offered():
    with pytest.raises(ValueError, match=r"Did you mean 'hinge'\?"):
        values.name("loss", "hinhe", ["hinge", "standard"])
    with pytest.raises(ValueError, match=r"Received: loss='qqq'$"):
        values.name("loss", "qqq", ["hinge", "standard"])
    with pytest.raises(TypeError):
        values.name("loss", 3, ["hinge"])


def test_booleans():
    assert values.boolean("shuffle", np.True_) is True
    for wrong in (1, "yes", None):
        with pytest.raises(TypeError, match="`shuffle` must be a bool"):
            values.boolean("shuffle", wrong)


def test_paths():
    assert values.path("run", "a/b") == pathlib.Path("a/b")
    assert values.path("run", pathlib.Path("a")) == pathlib.Path("a")
    for wrong in (3, None, ["a"]):
        with pytest.raises(TypeError, match="`run` must be a path"):
            values.path("run", wrong)
    for wrong in ("", "a\0b"):
        with pytest.raises(ValueError, match="`run` must be a path"):
            values.path("run", wrong)
