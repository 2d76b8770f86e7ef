"""Wrong inputs made by seeded draws; `benchmarks/robustness.py` tries many more of the same."""

from collections import Counter
from pathlib import Path

import pytest
from fuzz.kinds import KINDS, N_ORIGINALS
from fuzz.pool import Job, tried

CASES = {"recipes": 40, "tables": 80, "weights": 8, "sheets": 20}


def test_wrong_inputs_are_refused_or_rightly_accepted() -> None:
    jobs = [Job(k, n) for k, cases in CASES.items() for n in range(-N_ORIGINALS[k], cases)]
    done = [*tried(jobs, KINDS, seed=17, n_workers=1, limit_s=60)]
    assert Counter(one.job for one in done) == Counter(jobs)
    wrong = [one for one in done if one.judged.verdict not in ("refused", "accepted")]
    assert not wrong
    originals = {one.judged.verdict for one in done if one.job.number < 0}
    assert originals == {"accepted"}
