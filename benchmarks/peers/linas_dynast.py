"""Runs LINAS of DyNAS-T 1.6.0 on the toy trade-off; prints seconds and rows as JSON.

It needs an interpreter with dynast, but no tailorbird, and is run from benchmarks/:

    python -m venv dynast && dynast/bin/pip install --no-deps dynast==1.6.0
    dynast/bin/pip install pymoo scikit-learn pandas requests torch torchvision
    dynast/bin/python -m peers.linas_dynast

dynast does not import on Python 3.11, because fairseq, which its text models need, does not. What
this search does not use of it, or would want more packages, is replaced by empty modules, and its
supernet by the toy; all else is as published.
"""

import argparse
import ast
import contextlib
import csv
import importlib.abc
import importlib.machinery
import json
import logging
import sys
import tempfile
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from peers import toy

_UNUSED = (
    "torchprofile",
    "pymoo.algorithms.moo.age",
    "dynast.supernetwork.image_classification.bootstrapnas.bootstrapnas_interface",
    "dynast.supernetwork.image_classification.vit.vit_interface",
    "dynast.supernetwork.machine_translation.transformer_interface",
    "dynast.supernetwork.text_classification.bert_interface",
)
_SUPERNET = "ofa_mbv3_d234_e346_k357_w1.0"


class _Empty(types.ModuleType):
    """Has whatever name is asked of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Unused(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if any(fullname == name or fullname.startswith(name + ".") for name in _UNUSED):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


class ToyRunner:
    """Stands where DyNAS-T puts a supernet, measured or predicted."""

    def __init__(self, **settings: Any) -> None:
        self._predictors = settings

    def validate_top1(self, config: dict[str, Any], device: object = None) -> float:
        return float(toy.accuracy(_row(config))[0])

    def validate_macs_params(self, config: dict[str, Any], device: object = None) -> Any:
        return 0, 0

    def measure_latency(self, config: dict[str, Any], device: object = None) -> Any:
        return float(toy.latency_ms(_row(config))[0]), 0.0

    def estimate_accuracy_top1(self, features: Any) -> Any:
        return self._predictors["acc_predictor"].predict(features)

    def estimate_latency(self, features: Any) -> Any:
        return self._predictors["latency_predictor"].predict(features)


def _row(config: dict[str, Any]) -> toy.IntArray:
    genes = (((3, 5, 7), "ks"), ((3, 4, 6), "e"), ((2, 3, 4), "d"))
    return toy.canonical(*(np.array([[c.index(v) for v in config[name]]]) for c, name in genes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--population", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.meta_path.insert(0, _Unused())
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        from dynast.search import search_tactic  # type: ignore[import-not-found]  # of another venv

        logging.getLogger().setLevel(logging.ERROR)
        search_tactic.OFARunner = ToyRunner
        file = Path(folder) / "results.csv"
        began = time.perf_counter()
        search_tactic.LINAS(
            supernet=_SUPERNET,
            optimization_metrics=["latency", "accuracy_top1"],
            measurements=["latency", "accuracy_top1"],
            num_evals=arguments.evaluations,
            results_path=str(file),
            population=arguments.population,
            seed=arguments.seed,
        ).search()
        seconds = time.perf_counter() - began
        with file.open() as read:
            configs = [ast.literal_eval(line[0]) for line in list(csv.reader(read))[1:]]
    rows = np.vstack([_row(config) for config in configs])
    json.dump({"seconds": seconds, "rows": rows.tolist()}, sys.stdout)


if __name__ == "__main__":
    main()
