"""Wrong inputs made by seeded draws; `benchmarks/robustness.py` tries many more of the same."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from broken_inputs import FAULTS, Broken
from fuzz.kinds import KINDS
from fuzz.pool import Job, tried
from fuzz.recipe_laws import LAWS
from fuzz.recipes import keys_of_recipes

CASES = {
    "recipes": 20,
    "tables": 30,
    "weights": 1,
    "sheets": 12,
    "publications": 6,
    "evaluations": 3,
}
ORIGINALS = 1  # of each class


@pytest.mark.long
def test_wrong_inputs_are_refused_or_rightly_accepted() -> None:
    jobs = [Job(k, n) for k in KINDS for n in range(-ORIGINALS, CASES[k])]
    done = [*tried(jobs, KINDS, seed=17, n_workers=1, limit_s=60)]
    assert Counter(one.job for one in done) == Counter(jobs)
    wrong = [one for one in done if one.judged.verdict not in ("refused", "accepted")]
    assert not wrong
    assert {one.judged.verdict for one in done if one.job.number < 0} == {"accepted"}
    assert {one.judged.verdict for one in done if one.job.number >= 0} == {"accepted", "refused"}


def test_each_setting_of_a_recipe_has_a_law() -> None:
    """Those who add a setting say what it may be, where the models are judged by it."""
    assert {key for key, _ in keys_of_recipes()} - {"space.modul"} == LAWS.keys()


@pytest.mark.long
def test_what_goes_wrong_is_found(tmp_path: Path) -> None:
    kinds = {fault: partial(Broken, fault) for fault in FAULTS}
    jobs = [Job(fault, 0) for fault in FAULTS]
    done = tried(jobs, kinds, seed=0, n_workers=1, limit_s=10, keep=tmp_path)
    found = {one.job.kind: (one.judged.verdict, one.judged.said) for one in done}
    assert found.pop("hungry")[0] == "wrongly refused"
    assert found.pop("foreseen by nobody")[0] == "traceback"
    assert found == {
        "nothing": ("unexplained", "no reason is known"),
        "endless": ("hang", "no end in 10 s"),
        "dead": ("traceback", "the process ended with 3"),
        "steering": ("untidy", "raw control characters: [\"'\\\\x1b'\"]"),
        "leaving": ("untidy", "left behind: half.new"),
        "leaving and refusing": ("untidy", "left behind by a refusal: whole"),
    }
    assert {path.name for path in tmp_path.iterdir()} == {f"{fault}-0" for fault in FAULTS}
    assert (tmp_path / "endless-0" / "mine.py").exists()
