"""The line that says how far something is."""

import io

import pytest

from training.terminal import ProgressLine, countdown, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_durations():
    assert [duration(x) for x in (0, 59.6, 61, 3600, 36061)] == [
        "0:00",
        "1:00",
        "1:01",
        "1:00:00",
        "10:01:01",
    ]


def test_a_line_each_where_there_is_no_terminal():
    line = ProgressLine(stream := io.StringIO())
    line.show("step 1")
    line.show("step 2")
    line.end()
    assert stream.getvalue() == "step 1\nstep 2\n"


def test_one_line_on_a_terminal():
    line = ProgressLine(stream := Terminal())
    line.show("nine left")
    line.show("no more")
    line.end()
    line.end()
    assert stream.getvalue() == "\rnine left\rno more  \n"


@pytest.mark.parametrize(("stream", "lines"), [(io.StringIO, 10), (Terminal, 100)])
def test_a_countdown_shows_each_tenth_where_there_is_no_terminal(stream, lines):
    show = countdown("images", to := stream())
    for done in range(1, 101):
        show(done, 100, 0.5)
    assert to.getvalue().count("images") == lines
    assert to.getvalue().rstrip(" ").endswith("images 100/100, 0:00 left\n")
    assert to.getvalue().count("\n") == (1 if stream is Terminal else 10)


def test_a_countdown_has_patience():
    show = countdown("images", stream := io.StringIO(), patience=1000)
    show(1, 2)
    show(2, 2)
    assert stream.getvalue() == ""
