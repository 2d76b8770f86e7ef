"""Digests of users' functions, by which evaluations are remembered."""

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tailorbird.errors import RecipeError
from tailorbird.pipeline.own_code.program_text import digest
from tailorbird.pipeline.python_path import resolve

NUMBERS = count()
SCORE = "def score(net): return 0.5"
TEXT = """
import json

from digested_other import score

EPOCHS = 3
CACHE = {}


class Net:
    def forward(self):
        return EPOCHS


def train(net):
    return score(net)


def accuracy(architecture):
    CACHE[architecture] = train(Net())  # remembered
    return CACHE[architecture]


def unused():
    return 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield tmp_path
    forget()


def forget() -> None:
    for name in ("digested", "digested_other", "digested_third"):
        sys.modules.pop(name, None)


def digest_of(folder: Path, text: str, other: str = "") -> str:
    """Digest of `accuracy` in a module beside another one."""
    forget()
    home = folder / str(next(NUMBERS))
    home.mkdir()
    (home / "digested.py").write_text(text)
    (home / "digested_other.py").write_text(other)
    (home / "digested_third.py").write_text("from digested_other import score")
    return digest("digested:accuracy", resolve("digested:accuracy", home, "[accuracy] function"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("EPOCHS = 3", "EPOCHS = 4"),
        ("return EPOCHS", "return EPOCHS + 1"),
        ("score(net)", "score(net) / 2"),
        ("train(Net())", "train(Net()) / 2"),
    ],
)
def test_what_a_function_uses_has_a_part(folder: Path, old: str, new: str) -> None:
    assert old in TEXT
    assert digest_of(folder, TEXT, SCORE) != digest_of(folder, TEXT.replace(old, new), SCORE)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "def accuracy(a):\n    import digested_other as d\n    return d.score(a)\n",
        TEXT.replace("import score", "import *"),
    ],
)
def test_modules_of_the_users_that_are_imported_have_a_part(folder: Path, text: str) -> None:
    changed = SCORE.replace("0.5", "0.6")
    assert digest_of(folder, text, SCORE) == digest_of(folder, text, f"{SCORE}  # right")
    assert digest_of(folder, text, SCORE) != digest_of(folder, text, changed)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("from digested_other import *\ndef accuracy(a): return score(a)", SCORE),
        ("from digested_other import score as accuracy", SCORE),
        (
            "import digested_third\ndef accuracy(a): return digested_third.score(a)",
            f"import digested_third\n{SCORE}",  # each imports the other
        ),
    ],
)
def test_modules_that_are_imported_in_any_way_have_a_part(
    folder: Path, text: str, other: str
) -> None:
    changed = other.replace("0.5", "0.6")
    assert digest_of(folder, text, other) != digest_of(folder, text, changed)


@pytest.mark.parametrize(
    ("old", "new"), [("t['a'] = 1", "t['a'] = 2"), ("t.update(b=1)", "t.update(b=2)")]
)
def test_what_changes_a_value_has_a_part(folder: Path, old: str, new: str) -> None:
    text = "t = {}\nt['a'] = 1\nt.update(b=1)\ndef accuracy(a): return t['a'] + t['b']"
    assert digest_of(folder, text) != digest_of(folder, text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # remembered", ""),
        ("def unused():\n    return 1\n", ""),
        ("import json", "import math"),
        ("\n\n\nclass", "\n\nclass"),
    ],
)
def test_what_it_does_not_use_has_none(folder: Path, old: str, new: str) -> None:
    assert old in TEXT
    assert digest_of(folder, TEXT, SCORE) == digest_of(folder, TEXT.replace(old, new), SCORE)


def test_modules_beside_a_named_one_have_a_part(folder: Path) -> None:
    library = folder / "library"
    library.mkdir()
    sys.path.append(str(library))  # where Python looks, and not the recipe's folder
    digests = set()
    for score in (SCORE, SCORE.replace("0.5", "0.56")):
        forget()
        (library / "digested.py").write_text(TEXT)
        (library / "digested_other.py").write_text(score)
        function = resolve("digested:accuracy", folder, "[accuracy] function")
        digests.add(digest("digested:accuracy", function))
    assert len(digests) == 2


def test_a_function_that_comes_by_a_star_has_a_text(folder: Path) -> None:
    star, others = "from digested_other import *", SCORE.replace("score", "accuracy")
    changed = others.replace("0.5", "0.6")
    assert digest_of(folder, star, others) != digest_of(folder, star, changed)


def test_what_a_notebook_defines_is_refused(folder: Path) -> None:
    """Neither can workers import it, nor would a change of its text be seen."""
    with pytest.raises(RecipeError, match=r"function = '__main__:accuracy' .* Write it to a file"):
        resolve("__main__:accuracy", folder, "[accuracy] function")


def test_a_function_that_is_not_the_users_has_an_empty_text(folder: Path) -> None:
    assert digest("os.path:join", Path) == digest("json:loads", Path)
