"""What is printed: none of it is obeyed by a terminal, and JSON is strict."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailorbird.pipeline.run_folder import LOG, held
from tailorbird.progress import TerminalProgress, printable
from tailorbird.storage import strict_json

EVIL = "\x1b[31m\x07\r\x9b2J\u202e\ud800\0"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text(st.characters()))
def test_nothing_is_left_that_a_terminal_obeys_or_that_cannot_be_printed(text: str) -> None:
    shown = printable(text)
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)
    shown.encode()
    assert printable(shown) == shown
    if all(letter.isprintable() for letter in text):
        assert shown == text


def refuse(constant: str) -> float:
    raise AssertionError(constant)


@given(values)
def test_json_is_strict_and_says_the_same(value: object) -> None:
    text = strict_json.dumps({"value": value, "nan": math.nan, "infinite": (math.inf, -math.inf)})
    read = json.loads(text, parse_constant=refuse)
    assert (read["nan"], read["infinite"]) == (None, [None, None])
    assert printable(text) == text
    if "NaN" not in json.dumps(value) and "Infinity" not in json.dumps(value):
        assert read["value"] == value


def test_escapes_stand_for_what_they_replace_in_json() -> None:
    text = json.dumps("\x7f\u202e\x9b", ensure_ascii=False)
    assert json.loads(printable(text)) == json.loads(text)


def test_what_a_file_says_of_itself_is_not_obeyed(
    tailorbird: Callable[..., tuple[int, str, str]],
) -> None:
    Path(f"{EVIL[:4]}.toml").write_text("[")
    Path("a.json").write_text(json.dumps({"table": {"name": EVIL}, "rounds": []}))
    Path("a.toml").write_text(f'name = "a"\n[space]\nname = {json.dumps(EVIL[:6])}\n')
    Path("b.toml").write_text('name = "b"\n[space]\nname = "\x9b2J"\n')
    for name in (f"{EVIL[:4]}.toml", "a.json", "a.toml", "b.toml"):
        code, out, err = tailorbird("table", "show", name)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert printable(err) == err


def test_neither_a_log_nor_a_bar_hands_on_what_a_program_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(tmp_path, None):
        LOG.warning("%s failed", EVIL)
        logging.getLogger("tailorbird.search.evaluation.study").warning(EVIL)
    assert printable(log := (tmp_path / "run.log").read_text()) == log
    assert "\\u001b[31m" in log
    with TerminalProgress().task("Evaluating", 2) as advance:
        advance(f"failed: [/red] {EVIL}")
        advance("done [16x8x8x8]f32")
    assert "\\u001b[31m\\u0007" in capsys.readouterr().err
