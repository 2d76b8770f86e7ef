"""Recipes of a space of one's own that leaves its workloads open."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from own_code import Free
from torch import nn

from tailorbird.latency_tables import LatencyTable, Program
from tailorbird.pipeline.checking import Checker
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.own_code.trial import made_up_cost
from tailorbird.predictors.choices import ChoiceSum
from tailorbird.progress import NoProgress, Progress
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.footprint import network_costs

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "bare"
[space]
module = "own_code:{space}"
[device]
batch = 2
{device}
[latency]
rounds = 2
{latency}
{rest}
"""
INFERRED = 'runtime = "own_code:Simulator"\npredictor = "inferred-sum"\nsamples = 12'


def write(latency: str = INFERRED, device: str = "", rest: str = "", space: str = "Free") -> Path:
    path = Path("bare.toml")
    path.write_text(RECIPE.format(latency=latency, device=device, rest=rest, space=space))
    return path


def as_of_own_path(latency: str) -> str:
    return latency.replace(
        '"inferred-sum"', '"tailorbird.predictors.latency.inferred_sum:inferred_sum"'
    )


@pytest.mark.parametrize(
    "latency",
    [
        pytest.param(INFERRED, id="named"),
        pytest.param(as_of_own_path(INFERRED), id="own", marks=pytest.mark.long),
    ],
)
def test_networks_are_timed_whole(tailorbird: Tailorbird, latency: str) -> None:
    path = write(latency)
    code, out, err = tailorbird("profile", "bare.toml", "--json")
    assert code == 0, err
    keys = {row["workload"] for row in json.loads(out)["rows"]}
    assert len(keys - {"call()[1]f32"}) == 12
    assert all(key.startswith(("free/", "call()")) for key in keys)
    with open_recipe(path).held() as run:
        predictor = run.latency.predictor()
        X = run.space.sample(100, np.random.default_rng(0))
        macs = network_costs(run.space, X)[:, 0]
    assert np.corrcoef(predictor.mean(X), macs)[0, 1] > 0.5


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ({"latency": ""}, "[latency] predictor = 'table-sum'"),
        ({"latency": 'predictor = "calibrated-sum"'}, "[latency] predictor = 'calibrated-sum'"),
        ({"latency": 'adapt_from = ["epyc-avx512"]'}, "[latency] adapt_from"),
        (
            {"latency": 'predictor = "inferred-sum"\nschedule = "tuned:8"'},
            "[latency] schedule = 'tuned:8'",
        ),
        (
            {"latency": INFERRED, "rest": '[search]\ndevices = ["epyc-avx512"]'},
            "[search] devices",
        ),
    ],
)
def test_what_adds_up_workloads_is_refused_when_a_recipe_is_opened(
    tailorbird: Tailorbird, keys: dict[str, str], refused: str
) -> None:
    write(**keys)
    code, _, err = tailorbird("profile", "bare.toml")
    assert code == 2
    law = f"{refused} is for spaces that know their workloads, but free names none."
    assert law in " ".join(err.split())
    assert 'In its place write [latency] predictor = "inferred-sum"' in " ".join(err.split())
    assert not list(Path("runs").rglob("store.sqlite"))


def test_there_is_nothing_to_compile(tailorbird: Tailorbird) -> None:
    write('predictor = "inferred-sum"')
    code, _, err = tailorbird("compile", "bare.toml", "libraries")
    assert code == 2
    assert "free names none" in err


class Half:
    """Every network is right on half of the images."""

    def fingerprint(self) -> str:
        return "none"

    def n_test(self) -> int:
        return 100

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        return np.full(len(X), 0.5)

    test = validation

    def network(self, row: IntArray) -> nn.Module:
        return Free().build(row)


class Untimed:
    def timed(self, programs: Sequence[Program], rounds: int, progress: Progress) -> LatencyTable:
        assert all(re.match(r"free@none/.*\[2x6\]f32", program.key) for program in programs)
        return LatencyTable("none", open_recipe(write()).latency.configuration(), {}, {})


def test_reports_count_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = Free()
    cost = made_up_cost(space, np.ones)
    assert isinstance(cost, ChoiceSum)
    X = space.sample(3, np.random.default_rng(0))
    checked = Checker(space, Half(), Untimed()).check(X, cost, cost, NoProgress())
    modules = [space.build(row) for row in X]
    n_params = [sum(p.numel() for p in module.parameters()) for module in modules]
    assert checked.networks["n_params"].tolist() == n_params
    weights = [sum(p.numel() for p in m.parameters() if p.ndim == 2) for m in modules]
    assert checked.networks["n_macs"].tolist() == weights  # of one image
