"""Recipes that name code of a user's own by Python path, where a registered name may stand."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailorbird.latency_tables.formats import files
from tailorbird.pipeline.opening import open_recipe

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "own"
[space]
name = "digits-resnet"
max_stitches = 1
[device]
batch = 2
[latency]
rounds = 2
{latency}
[accuracy]
module = "users_module:good"
train_epochs = 1
stitch_epochs = 1
evaluations = 12
{accuracy}
[search]
population = 8
generations = 4
{search}
[report]
networks = 3
random_networks = 3
"""
RUNTIME = 'runtime = "own_code:Simulator"'


def write(latency: str = "", accuracy: str = "", search: str = "") -> None:
    if "runtime" not in latency:
        latency += f"\n{RUNTIME}"
    if "predictor" not in accuracy:
        accuracy += '\npredictor = "ridge"'
    Path("own.toml").write_text(RECIPE.format(latency=latency, accuracy=accuracy, search=search))


def keys_of(out: str) -> set[str]:
    """Programs of a table that a command printed."""
    return {row["workload"] for row in json.loads(out)["rows"]}


def assert_predicted_well() -> None:
    """The board goes by arithmetic alone, so that all of it can be learned."""
    random = pd.read_parquet("runs/own/random.parquet")
    off = random["latency_ms_predicted"] / random["latency_ms_measured"] - 1
    assert (off.abs() < 0.05).all()


@pytest.mark.long
def test_all_that_may_be_a_path_is_one(tailorbird: Tailorbird) -> None:
    write(
        latency='predictor = "own_code:proportional"',
        accuracy='predictor = "own_code:Neighbours"\nzero_cost = ["naswot", "own_code:n_weights"]',
        search='algorithm = "own_code:hill_climbing"',
    )
    code, _, err = tailorbird("run", "own.toml")
    assert code == 0, err
    report = Path("runs/own/report.html").read_text()
    assert "own_code:hill_climbing compared predictions of" in report
    assert "Latencies are predicted by own_code:proportional." in report
    assert "simulator" in report
    front = pd.read_parquet("runs/own/front.parquet")
    assert (front["latency_ms_measured"] > 0).all()
    assert np.isfinite(front["accuracy_test"]).all()
    code, out, _ = tailorbird("table", "show", "own.toml", "--json")
    assert code == 0
    assert json.loads(out)


@pytest.mark.long
def test_a_table_of_an_own_runtime_is_searched_elsewhere(tailorbird: Tailorbird) -> None:
    write()
    assert tailorbird("profile", "own.toml")[0] == 0
    assert tailorbird("table", "export", "own.toml", "theirs.parquet")[0] == 0
    assert files.read(Path("theirs.parquet")).configuration.runtime == "simulator"
    text = Path("own.toml").read_text().replace("[device]", '[device]\nname = "theirs.parquet"')
    Path("own.toml").write_text(text)
    shutil.rmtree("runs")
    code, _, err = tailorbird("run", "own.toml")
    assert code == 0, err
    Path("own.toml").write_text(text.replace("own_code:Simulator", "torch"))
    code, _, err = tailorbird("search", "own.toml")
    assert code == 2
    assert "runtime: simulator / torch" in err


@pytest.mark.long
def test_networks_timed_whole_correct_a_table(tailorbird: Tailorbird) -> None:
    write(latency='predictor = "calibrated-sum"\nsamples = 8')
    code, out, err = tailorbird("profile", "own.toml", "--json")
    assert code == 0, err
    n_workloads, n_networks = 16, 8
    assert len(keys_of(out)) == n_workloads + n_networks
    code, _, err = tailorbird("run", "own.toml")
    assert code == 0, err
    told = "Latencies are predicted by calibrated-sum from 8 networks that were timed whole."
    assert told in Path("runs/own/report.html").read_text()
    summary = json.loads(Path("runs/own/summary.json").read_text())
    assert (summary["latency_predictor"], summary["n_latency_samples"]) == ("calibrated-sum", 8)
    assert_predicted_well()
    here = pd.read_parquet("runs/own/front.parquet")
    assert tailorbird("table", "export", "own.toml", "theirs.parquet")[0] == 0
    text = Path("own.toml").read_text().replace("[device]", '[device]\nname = "theirs.parquet"')
    Path("own.toml").write_text(text)
    shutil.rmtree("runs")
    code, _, err = tailorbird("run", "own.toml")
    assert code == 0, err
    elsewhere = pd.read_parquet("runs/own/front.parquet")
    columns = ["architecture", "latency_ms_predicted"]
    pd.testing.assert_frame_equal(elsewhere[columns], here[columns])
    Path("own.toml").write_text(text.replace("samples = 8", "samples = 30"))
    code, _, err = tailorbird("run", "own.toml")
    assert code == 2
    assert "or name a table that holds these networks" in err


@pytest.mark.long
def test_latencies_are_inferred_from_whole_networks_alone(tailorbird: Tailorbird) -> None:
    write(latency='predictor = "inferred-sum"\nsamples = 12', search='algorithm = "random"')
    code, out, err = tailorbird("profile", "own.toml", "--json")
    assert code == 0, err
    keys = keys_of(out)
    assert len(keys) == 12
    assert all(key.startswith("digits-resnet(") for key in keys)
    code, _, err = tailorbird("run", "own.toml")
    assert code == 0, err
    assert_predicted_well()


@pytest.mark.long
def test_more_samples_go_on_from_those_that_were_timed(tailorbird: Tailorbird) -> None:
    write(latency='predictor = "inferred-sum"\nsamples = 10')
    assert tailorbird("profile", "own.toml")[0] == 0
    write(latency='predictor = "inferred-sum"\nsamples = 12')
    code, _, err = tailorbird("search", "own.toml")
    assert code == 2
    assert "2 of 12 networks that latency is learned from are not timed yet" in err
    assert "tailorbird profile own.toml" in err


@pytest.mark.parametrize(
    "algorithm",
    [
        "lies",
        *(
            pytest.param(n, marks=pytest.mark.long)
            for n in ("infeasible", "torn_values", "by_name")
        ),
    ],
)
def test_rows_of_an_own_search_are_priced_and_limited_here(
    tailorbird: Tailorbird, algorithm: str
) -> None:
    limit = 8.0
    write(search=f'algorithm = "own_code:{algorithm}"\nmax_latency_ms = {limit}')
    assert tailorbird("profile", "own.toml")[0] == 0
    assert tailorbird("train", "own.toml")[0] == 0
    code, out, err = tailorbird("search", "own.toml", "--json")
    assert code == 0, err
    front = pd.DataFrame(json.loads(out))
    assert ((front["latency_ms"] > 0) & (front["latency_ms"] <= limit)).all()
    assert front["architecture"].is_unique
    ordered = front.sort_values("latency_ms")
    assert (np.diff(ordered["accuracy"]) > 0).all()
    assert "is certain" not in err


def test_an_integer_program_needs_a_predictor_that_adds_up(tailorbird: Tailorbird) -> None:
    write(accuracy='predictor = "own_code:Neighbours"', search='algorithm = "best"')
    text = Path("own.toml").read_text().replace("population = 8\ngenerations = 4\n", "")
    Path("own.toml").write_text(text)
    code, _, err = tailorbird("run", "own.toml")
    assert code == 2
    assert "what [accuracy] predictor names has no method `along`" in err
    assert not list(Path("runs").rglob("*.safetensors"))


@pytest.mark.long
def test_what_overwrites_its_arrays_changes_nothing(tailorbird: Tailorbird) -> None:
    fronts = []
    for predictor in ("Neighbours", "Overwrites"):
        write(accuracy=f'predictor = "own_code:{predictor}"')
        for command in ("profile", "train"):
            assert tailorbird(command, "own.toml")[0] == 0
        code, out, err = tailorbird("search", "own.toml", "--json")
        assert code == 0, err
        fronts.append(out)
    assert fronts[0] == fronts[1]


def test_a_predictor_is_tried_with_as_many_networks_as_it_will_have(tailorbird: Tailorbird) -> None:
    write(latency='predictor = "own_code:of_fifty"\nsamples = 60')
    open_recipe(Path("own.toml")).latency.check()


WRONG = [
    ("latency", 'predictor = "own_code:nobody"', "latency] predictor = .*nobody' failed"),
    ("latency", 'predictor = "own_code:nothing"', "names nothing that can be imported"),
    ("latency", 'predictor = "own_code:NOT_CALLABLE"', "must name what can be called"),
    ("latency", 'predictor = "own_code:fails"', "failed"),
    ("latency", 'predictor = "own_code:Simulator"', r"failed|no predict"),
    ("latency", 'predictor = "calibrated-sum"\nsamples = 90', "at most 76"),
    ("latency", 'predictor = "inferred-sum"\nsamples = 5', "samples of at least 10, but got 5"),
    ("latency", "samples = 5", "samples are for predictors that learn from whole networks"),
    (
        "latency",
        'predictor = "inferred-sum"\nestimate_missing = true',
        "no workload is needed: drop estimate_missing",
    ),
    (
        "latency",
        'predictor = "calibrated-sum"\nadapt_from = ["epyc-avx512"]',
        "not for adapt_from",
    ),
    ("latency", 'runtime = "own_code:Nameless"', "a class with a `name` of at most 50"),
    ("latency", 'runtime = "own_code:SameName"', "must differ from those of other runtimes"),
    (
        "latency",
        'runtime = "own_code:hill_climbing"',
        "a class with a `name` of at most 50",
    ),
    ("latency", f'{RUNTIME}\nschedule = "static"', "yours has its own"),
    ("accuracy", 'predictor = "own_code:Unfitted"', "failed .*not today.* See line"),
    ("accuracy", 'predictor = "own_code:Short"', r"`predict` must give .* of shape \(\d+,\)"),
    ("accuracy", 'predictor = "own_code:Tuples"', "but gave tuple"),
    ("accuracy", 'predictor = "own_code:Negative"', "stds of at least 0, but gave -0.1"),
    ("accuracy", 'predictor = "own_code:Column"', "`mean` must give finite values of shape"),
    ("accuracy", 'predictor = "own_code:PerCent"', "Divide percentages by 100"),
    ("accuracy", 'predictor = "own_code:NaNs"', "own_code:NaNs': A prediction must be finite"),
    ("accuracy", 'predictor = "own_code:NaNMeans"', "`mean` must give finite values"),
    ("accuracy", 'predictor = "own_code:NoRefit"', "NoRefit has no refit"),
    ("accuracy", 'predictor = "own_code:nobody"', "nobody' failed .*TypeError"),
    ("accuracy", 'zero_cost = ["own_code:two_numbers"]', "must be one number, but got dict"),
    ("accuracy", 'zero_cost = ["own_code:raising_score"]', "failed .*by nothing.* See line"),
    ("accuracy", 'zero_cost = ["own_code:infinite_score"]', "own_code:infinite_score is inf"),
    ("search", 'algorithm = "own_code:rows_only"', "must give a `tailorbird.search.ParetoFront`"),
    ("search", 'algorithm = "own_code:uncanonical"', "rows of a front must be canonical"),
    ("search", 'algorithm = "own_code:counts_in_words"', "failed .*many"),
    ("search", 'algorithm = "own_code:history_of_nans"', "history of a front must be finite"),
    ("search", 'algorithm = "own_code:fractions_of_choices"', "but has float64 of shape"),
    ("search", 'algorithm = "own_code:beyond_the_choices"', "within the choices of the space"),
    ("accuracy", 'predictor = "own_code:Random"', "must agree, whenever they are called"),
    ("latency", 'predictor = "own_code:below_zero"', "Latencies must be positive"),
    ("latency", 'runtime = "own_code:TwoLines"', "letters, digits, dots and dashes"),
    ("search", 'algorithm = "own_code:fails"', "failed .*lost the way.* See line"),
    ("search", 'algorithm = "own_code:hill_climbing"\nsampler = "TPESampler"', "has no sampler"),
    ("search", 'algorithm = "no_such.module:search"', "names nothing that can be imported"),
    ("search", 'algorithm = "own_code.hill_climbing"', "a Python path of your own"),
]


@pytest.mark.parametrize(("table", "lines", "sentence"), WRONG)
def test_what_does_not_do_what_it_must_is_refused_before_anything_is_measured(
    tailorbird: Tailorbird, table: str, lines: str, sentence: str
) -> None:
    write(**{table: lines})
    code, out, err = tailorbird("run", "own.toml")
    assert code == 2, err
    assert not out
    assert re.search(sentence, err), err
    assert not list(Path("runs").rglob("*.safetensors"))
    for store in Path("runs").rglob("store.sqlite"):
        assert tailorbird("table", "show", "own.toml", "--json")[1] in ("", "[]\n"), store


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("Broken", "own_code:Broken' failed .*no compiler today"),
        ("OtherName", r"`configuration` must give .* with runtime = 'other-name'"),
        ("TimelessSimulator", "own_code:TimelessSimulator': samples must be finite"),
        ("Pathless", "`compile` must give Artifact, but gave PosixPath"),
    ],
)
def test_a_runtime_that_does_not_work_is_told_with_its_key(
    tailorbird: Tailorbird, kind: str, sentence: str
) -> None:
    write(latency=f'runtime = "own_code:{kind}"')
    code, _, err = tailorbird("profile", "own.toml")
    assert code in (1, 2)
    assert re.search(sentence, err), err
    assert "Traceback" not in err
