"""What is new needs one module and one line: then recipes know it by its name."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tailorbird

PACKAGE = Path(tailorbird.__file__).parent
TESTS = Path(__file__).parents[1]
OWN_RULES = ("training_rules", "route_draws")

KINDS = {
    "accuracy_predictors": (
        "predictors/accuracy/nearest.py",
        '"nearest": AccuracyPredictorEntry("tailorbird.predictors.accuracy.nearest:Neighbours"),',
    ),
    "zero_cost_scores": (
        "predictors/accuracy/zero_cost/weights.py",
        '"weights": "tailorbird.predictors.accuracy.zero_cost.weights:n_weights",',
    ),
    "algorithms": (
        "search/algorithms/climbing.py",
        '"climbing": AlgorithmEntry('
        '"tailorbird.search.algorithms.climbing:hill_climbing", _PREDICTED),',
    ),
    "runtimes": (
        "latency_tables/runtimes/simulator.py",
        '"simulator": RuntimeEntry('
        '"tailorbird.latency_tables.runtimes.simulator:Simulator", "none"),',
    ),
    "latency_predictors": (
        "predictors/latency/proportional.py",
        '"proportional": LatencyPredictorEntry('
        '"tailorbird.predictors.latency.proportional:proportional"),',
    ),
    "training_rules": (
        "training/supernet/pairs.py",
        '"pair": TrainingRuleEntry("tailorbird.training.supernet.pairs:pair", distils=True),',
    ),
    "route_draws": (
        "training/shared/reference_routes.py",
        '"references": RouteDrawEntry("tailorbird.training.shared.reference_routes:in_order"),',
    ),
}
RECIPE = """
name = "new"
[space]
name = "digits-elastic"
[latency]
runtime = "simulator"
predictor = "proportional"
rounds = 2
[accuracy]
supernet_epochs = 1
rule = "pair"
routes = "references"
evaluations = 12
predictor = "nearest"
zero_cost = ["weights"]
[search]
algorithm = "climbing"
population = 8
generations = 3
[report]
networks = 2
random_networks = 2
"""


@pytest.mark.long
def test_one_module_and_one_line_are_enough(tmp_path: Path) -> None:
    package = tmp_path / "src" / "tailorbird"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for table, (module, line) in KINDS.items():
        own = "own_rules.py" if table in OWN_RULES else "own_code.py"
        shutil.copy(TESTS / own, package / module)
        path = package / "registry" / f"{table}.py"
        text, n = re.subn(
            r"(\n[A-Z_]+: Mapping\[.*\] = \{\n)", rf"\1    {line}\n", path.read_text()
        )
        assert n == 1
        path.write_text(text)
    (tmp_path / "new.toml").write_text(RECIPE)
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-m", "tailorbird", "run", "new.toml", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    report = (tmp_path / "runs/new/report.html").read_text()
    assert "climbing compared predictions of" in report
    assert "Latencies are predicted by proportional." in report
    wrong = RECIPE.replace('"climbing"', '"climbng"')
    (tmp_path / "new.toml").write_text(wrong)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "'climbing'" in done.stderr
