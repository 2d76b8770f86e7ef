"""`python benchmarks`: all of them run, and what they missed is told at the end."""

import math
import subprocess
import sys
from pathlib import Path

import latency_accuracy

RUNNER = Path(__file__).parents[1] / "benchmarks"
WRITES = "import sys; open(sys.argv[2], 'w').write('{}')\n"


def test_goals_are_listed_after_every_benchmark_has_run(tmp_path: Path) -> None:
    texts = {
        "late": WRITES + "print('MISSED 3 > 2'); print('MISSED 5 > 4'); sys.exit(1)",
        "broken": "raise KeyError('a column')",
        "good": WRITES + "print('all is well')",
    }
    scripts = [tmp_path / f"{name}.py" for name in texts]
    for script, text in zip(scripts, texts.values(), strict=True):
        script.write_text(text)
    command = [sys.executable, str(RUNNER), *map(str, scripts)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-4:] == [
        "== 1 of 3 benchmarks met their goals",
        "late.py: MISSED 3 > 2",
        "late.py: MISSED 5 > 4",
        "broken.py: MISSED it ended with 1: KeyError: 'a column'",
    ]
    made = {path.name for path in (tmp_path / "runs/bench").iterdir()}
    assert made == {"late.json", "good.json", "late.log", "broken.log", "good.log"}
    assert subprocess.run([*command[:2], str(scripts[-1])], cwd=tmp_path).returncode == 0


def test_scores_that_are_not_known_meet_no_goal() -> None:
    good = {"mape": 0.03, "kendall_tau": 0.97}
    unknown = dict.fromkeys(good, math.nan)
    assert not latency_accuracy.missed({"sum": good, "calibrated": good})
    assert len(latency_accuracy.missed({"sum": good, "calibrated": unknown})) == 2
