"""A space of one's own, from a recipe and from Python: how much of the exact front is found.

`users/my_net.py` holds a space, its modules and an accuracy function that the package does not
know, in one file of at most 60 lines; `users/my_bare_net.py` the same networks as a space without
workloads and without a graph. Latencies are measured here by onnxruntime: blocks of the first, 60
whole networks of the second, whose latencies are inferred.

- Each algorithm is asked to spend 30, 60 and 120 true evaluations, with five seeds. What share of
  the exact front's hypervolume is there, by true accuracies: in the networks that were evaluated,
  and in the front that is returned, which predictors may have chosen. Means with 95 % intervals
  over seeds (Student's t). All but the guided search evaluate one design, spread over latency,
  which has more of the hypervolume than networks drawn uniformly.
- `tailorbird run` with two workers is killed with SIGKILL in the middle of its evaluations and run
  again; fronts of the recipe, of `tailorbird.open_recipe` and of that run must be equal.

Goals, of networks that were evaluated: the guided search has at least what the random one has with
as many evaluations, and .97 of the exact hypervolume at 120; fronts are equal, and each algorithm
evaluates as many networks as it is asked to. Exits with 1 if one is missed.
"""

import importlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import moocore
import numpy as np
import pandas as pd
import tomli_w
from scipy.stats import t as student
from scripts import command_line, write_result

from tailorbird.pipeline.opening import open_recipe
from tailorbird.progress import NoProgress
from tailorbird.search.problem import beyond
from tailorbird.spaces import Architecture, FloatArray, IntArray

USERS = Path(__file__).parent / "users"
MOST_LINES = 60
BUDGETS, SEEDS = (30, 60, 120), range(5)
ALGORITHMS: dict[str, dict[str, dict[str, Any]]] = {
    "guided": {},
    "nsga2": {},
    "random": {},
    "optuna": {"search": {"population": 20, "generations": 20}},  # it slows down with trials
    "exact": {"accuracy": {"predictor": "additive"}},
}
GOAL_SHARE = 0.97
SAMPLES = 60  # whole networks that the bare space's latencies are inferred from
COMMAND = [sys.executable, "-m", "tailorbird"]


@dataclass(frozen=True)
class Case:
    """A space of the user's, with what its recipe must say."""

    module: str
    latency: Mapping[str, Any]
    algorithms: tuple[str, ...]

    def recipe(
        self, name: str, algorithm: str, n: int, seed: int = 0, workers: int = 1
    ) -> dict[str, Any]:
        changes = ALGORITHMS[algorithm]
        return {
            "name": name,
            "seed": seed,
            "space": {"module": f"{self.module}:space"},
            "latency": {"runtime": "onnxruntime", "rounds": 2, "store": f"{name}.sqlite"}
            | dict(self.latency),
            "accuracy": {"function": "my_net:accuracy", "evaluations": n, "workers": workers}
            | changes.get("accuracy", {}),
            "search": {"algorithm": algorithm} | changes.get("search", {}),
            "report": {"networks": 3, "random_networks": 2},
        }

    def measure(self) -> None:
        """Fills the store that all runs of the case start from."""
        recipe = self.recipe(self.measured, "nsga2", 30)
        Path(f"{self.measured}.toml").write_text(tomli_w.dumps(recipe))
        subprocess.run(
            [*COMMAND, "profile", f"{self.measured}.toml"], check=True, stdout=sys.stderr
        )

    @property
    def measured(self) -> str:
        return f"{self.module}-measured"

    def opened(self, recipe: dict[str, Any]) -> Any:
        """The run of a recipe, with a copy of what was measured and no evaluations."""
        shutil.copy(f"{self.measured}.sqlite", recipe["latency"]["store"])
        return open_recipe(recipe, NoProgress())

    @cached_property
    def truth(self) -> "Truth":
        run = self.opened(self.recipe(f"{self.module}-truth", "nsga2", 30))
        X = np.concatenate([*run.space.enumerate()])
        accuracy = import_accuracy()
        y = np.array([accuracy(Architecture(row, run.space)) for row in X])
        ms = run.latency.predictor().mean(X)
        F = np.column_stack([-y, ms])
        ref_point = beyond(F)
        rows = {tuple(row): f for row, f in zip(X.tolist(), F, strict=True)}
        return Truth(rows, ref_point, volume(F, ref_point))


@dataclass(frozen=True)
class Truth:
    """Minimised accuracy and latency of every network, and the exact front's hypervolume."""

    rows: Mapping[tuple[int, ...], FloatArray]
    ref_point: FloatArray
    exact: float

    def share(self, X: IntArray) -> float:
        F = np.array([self.rows[tuple(row)] for row in X.tolist()])
        return volume(F, self.ref_point) / self.exact


def volume(F: FloatArray, ref_point: FloatArray) -> float:
    return float(moocore.hypervolume(F, ref=ref_point))


def import_accuracy() -> Any:
    return importlib.import_module("my_net").accuracy


def evaluated(store: str, n_variables: int) -> IntArray:
    """Networks whose evaluations a store remembers."""
    query = (
        "SELECT value_json FROM trial_user_attributes a JOIN trials t ON t.trial_id = a.trial_id "
        "WHERE a.key = 'encoding' AND t.state = 'COMPLETE'"
    )
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        rows = [json.loads(text) for (text,) in database.execute(query)]
    return np.array(rows, dtype=np.int64).reshape(-1, n_variables)


def swept(case: Case) -> pd.DataFrame:
    """Shares of the exact hypervolume, a row for each search."""
    rows = []
    for algorithm in case.algorithms:
        for n in BUDGETS:
            for seed in SEEDS:
                name = f"{case.module}-{algorithm}-{n}-{seed}"
                run = case.opened(case.recipe(name, algorithm, n, seed))
                begin = time.perf_counter()
                front = run.search().front
                seconds = time.perf_counter() - begin
                known = evaluated(f"{name}.sqlite", len(run.space.variables))
                shares = case.truth.share(known), case.truth.share(front.X)
                rows.append((case.module, algorithm, n, seed, len(known), *shares, seconds))
        print_shares(pd.DataFrame(rows, columns=COLUMNS).query("algorithm == @algorithm"))
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = ["space", "algorithm", "n", "seed", "n_evaluated", "evaluated", "returned", "seconds"]


def interval(values: FloatArray) -> float:
    """Half of the 95 % interval of a mean."""
    sem = values.std(ddof=1) / len(values) ** 0.5
    return float(student.ppf(0.975, len(values) - 1) * sem)


def print_shares(rows: pd.DataFrame) -> None:
    for (space, algorithm, n), of in rows.groupby(["space", "algorithm", "n"]):
        both = "  ".join(
            f"{kind} {of[kind].mean():.4f} ± {interval(of[kind].to_numpy()):.4f}"
            for kind in ("evaluated", "returned")
        )
        print(f"{space:12} {algorithm:7} {n:4}  {both}  {of['seconds'].median():.1f} s", flush=True)


def front_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "search.parquet")


def killed_and_resumed(case: Case) -> dict[str, Any]:
    """Whether the fronts of a recipe, of Python and of a killed run are equal."""
    whole, killed, python = (
        case.recipe(f"{case.module}-{kind}", "guided", 60, workers=2)
        for kind in ("whole", "killed", "python")
    )
    for recipe in (whole, killed):
        Path(f"{recipe['name']}.toml").write_text(tomli_w.dumps(recipe))
        shutil.copy(f"{case.measured}.sqlite", recipe["latency"]["store"])
    subprocess.run([*COMMAND, "run", f"{whole['name']}.toml"], check=True, stdout=sys.stderr)
    command = [*COMMAND, "run", f"{killed['name']}.toml"]
    process = subprocess.Popen(command, stdout=sys.stderr, start_new_session=True)
    n_before = 0
    while process.poll() is None and n_before < 25:
        time.sleep(0.05)
        n_before = n_complete(killed["latency"]["store"])
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(command, check=True, stdout=sys.stderr)
    case.opened(python).search()
    fronts = [front_of(Path("runs") / recipe["name"]) for recipe in (whole, killed, python)]
    return {
        "n_evaluated_before_the_kill": n_before,
        "n_evaluated_by_both": n_complete(killed["latency"]["store"]),
        "n_evaluated_by_one": n_complete(whole["latency"]["store"]),
        "fronts_are_equal": all(front.equals(fronts[0]) for front in fronts),
        "n_front": len(fronts[0]),
    }


def alike(case: Case, algorithm: str) -> bool:
    """Whether `tailorbird run` and Python have one front by an algorithm, after 30 evaluations."""
    command_line_run, python = (
        case.recipe(f"{case.module}-{algorithm}-{kind}", algorithm, BUDGETS[0])
        for kind in ("command", "python")
    )
    file = Path(f"{command_line_run['name']}.toml")
    file.write_text(tomli_w.dumps(command_line_run))
    shutil.copy(f"{case.measured}.sqlite", command_line_run["latency"]["store"])
    subprocess.run([*COMMAND, "run", str(file)], check=True, stdout=sys.stderr)
    case.opened(python).search()
    both = [front_of(Path("runs") / recipe["name"]) for recipe in (command_line_run, python)]
    return both[0].equals(both[1])


def n_complete(store: str) -> int:
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
            shown = "SELECT study_id FROM study_user_attributes WHERE key = 'accuracies of'"
            query = "SELECT count(*) FROM trials WHERE state = 'COMPLETE' AND study_id NOT IN"
            query += f" ({shown})"  # those are for dashboards
            return int(database.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # nothing was evaluated yet
        return 0


def missed_by(shares: pd.DataFrame) -> list[str]:
    missed = [
        f"{row.space}: {row.algorithm} evaluated {row.n_evaluated} networks, not {row.n}"
        for row in shares.query("n_evaluated != n").itertuples()
    ]
    means = shares.groupby(["space", "algorithm", "n"])["evaluated"].mean().to_dict()
    for space in shares["space"].unique():
        for n in BUDGETS:
            guided, random = means[space, "guided", n], means[space, "random", n]
            if guided < random:
                missed.append(
                    f"{space}: guided search has {guided:.4f} of the hypervolume after {n} "
                    f"evaluations, random search {random:.4f}"
                )
        last = means[space, "guided", BUDGETS[-1]]
        if last < GOAL_SHARE:
            missed.append(f"{space}: {last:.4f} < {GOAL_SHARE} after {BUDGETS[-1]} evaluations")
    return missed


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    n_lines = len((USERS / "my_net.py").read_text().splitlines())
    print(f"my_net.py has {n_lines} lines (goal: at most {MOST_LINES})")
    with tempfile.TemporaryDirectory() as folder:
        for file in USERS.glob("*.py"):
            shutil.copy(file, folder)
        os.chdir(folder)
        bare = {"predictor": "inferred-sum", "samples": SAMPLES}
        cases = [
            Case("my_net", {}, tuple(ALGORITHMS)),
            Case("my_bare_net", bare, ("guided", "nsga2", "random")),
        ]
        results, shares = {}, []
        for case in cases:
            case.measure()
        for case in cases:
            results[case.module] = killed_and_resumed(case)
            print(case.module, results[case.module], flush=True)
            differing = [name for name in case.algorithms if not alike(case, name)]
            results[case.module]["other_fronts_by_command"] = differing
            print(f"{case.module}: of {case.algorithms}, fronts differ by {differing}", flush=True)
            shares.append(swept(case))
    table = pd.concat(shares, ignore_index=True)
    missed = missed_by(table)
    if n_lines > MOST_LINES:
        missed.append(f"my_net.py has {n_lines} lines > {MOST_LINES}")
    for name, found in results.items():
        if not found["fronts_are_equal"] or found["other_fronts_by_command"]:
            missed.append(f"{name}: fronts of recipe, Python and a resumed run differ")
        if found["n_evaluated_by_both"] != found["n_evaluated_by_one"]:
            missed.append(f"{name}: a run that was resumed evaluated other networks as well")
        if found["n_evaluated_before_the_kill"] >= found["n_evaluated_by_one"]:
            missed.append(f"{name}: it was killed behind its last evaluation")
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    write_result(
        arguments.json,
        {"resumed": results, "shares": table.to_dict("records"), "missed": missed},
    )
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
