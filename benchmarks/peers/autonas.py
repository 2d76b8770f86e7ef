"""Runs a user's supernet of modelopt 0.47 (AutoNAS); prints choices and accuracies as JSON.

It needs an interpreter with modelopt, but no tailorbird, and is run from benchmarks/:

    modelopt/bin/python -m peers.autonas SETTINGS IMAGES   # JSON and npz
"""

import importlib
import json
import sys
from pathlib import Path

import modelopt.torch.nas as mtn  # type: ignore[import-not-found]  # of another venv
import numpy as np
import torch
from modelopt.torch.utils.random import (  # type: ignore[import-not-found]  # of another venv
    _set_deterministic_seed,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "users"))
my_autonas = importlib.import_module("my_autonas")


def main() -> None:
    settings, images = json.loads(Path(sys.argv[1]).read_text()), np.load(sys.argv[2])
    x, labels, x_test, labels_test = (torch.from_numpy(images[name]) for name in images.files)
    torch.set_num_threads(1)
    torch.manual_seed(settings["seed"])
    _set_deterministic_seed(settings["seed"] + 1)
    converted = mtn.convert(my_autonas.Net(), "autonas")
    by_default = mtn.get_subnet_config(converted, configurable=True)
    model = my_autonas.supernet()
    names = [*mtn.get_subnet_config(model, configurable=True)]
    if settings["epochs"]:
        my_autonas.train(model, x, labels, settings["epochs"])
    configs = [dict(zip(names, widths, strict=True)) for widths in settings["networks"]]
    found = [my_autonas.accuracy(model, config, x_test, labels_test) for config in configs]
    print(json.dumps({"by_default": by_default, "names": names, "accuracy": found}))


if __name__ == "__main__":
    main()
