"""What long work says in a file that is no terminal."""

import re

import pytest

from tailorbird.progress import LineProgress


def test_lines_tell_what_is_done_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    with LineProgress(every_s=0).task("profile", 2) as advance:
        advance("dense")
        advance("conv\x1b[2J")
    out, err = capsys.readouterr()
    assert not out
    first, second = err.splitlines()
    assert re.fullmatch(r"profile: 1/2 in \d+ s, \d+ s left dense", first)
    assert re.fullmatch(r"profile: 2/2 in \d+ s conv.u001b\[2J", second)


def test_fast_work_is_one_line_and_none_if_nothing_was_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with LineProgress().task("train", 100) as advance:
        for step in range(100):
            advance(str(step))
    with LineProgress().task("check", 0):
        pass
    assert re.fullmatch(r"train: 100/100 in \d+ s\n", capsys.readouterr().err)


def test_what_was_done_before_a_failure_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with LineProgress().task("train", 100) as advance:
            advance("one")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "train: 1/100 in " in capsys.readouterr().err
