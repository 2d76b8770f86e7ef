"""Which of several state dicts in a file is taken."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tailorbird.errors import WeightsError
from tailorbird.training.weights.state_dict import read

LAST = {"conv1.weight": torch.zeros(3), "fc.bias": torch.zeros(2)}
MEAN = {"conv1.weight": torch.ones(3), "fc.bias": torch.ones(2)}
ADAM = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": torch.tensor(0.1)}]}


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("thing", "key"),
    [
        (LAST, ""),
        ({**LAST, "epoch": 3, "log": {"loss": torch.zeros(1)}}, ""),
        ({"state_dict": LAST, "optimizer": ADAM, "best": torch.zeros(1), "epoch": 7}, "state_dict"),
        ({"epoch": 5, "model_state_dict": LAST, "optimizer_state_dict": ADAM}, "model_state_dict"),
        ({"model": {"state_dict": LAST}, "amp": {"scale": 2.0}}, "model.state_dict"),
        ({"checkpoint": {"model": {"net": LAST}}}, "checkpoint.model.net"),
        ({"my_own_key": LAST, "optim": ADAM}, "my_own_key"),
        *(({key: LAST, "optimizer": ADAM}, key) for key in ("net", "network", "weights", "params")),
    ],
)
def test_tables_around_a_state_dict_are_taken_off(tmp_path: Path, thing: object, key: str) -> None:
    torch.save(thing, tmp_path / "w.pth")
    state = read(tmp_path / "w.pth")
    assert state.tensors.keys() == LAST.keys()
    assert state.key == key
    assert state.remarks == ()
    assert not state.is_averaged


@pytest.mark.parametrize(
    ("thing", "key", "other"),
    [
        ({"state_dict": LAST, "state_dict_ema": MEAN}, "state_dict_ema", "state_dict"),
        ({"model": LAST, "model_ema": MEAN, "optimizer": ADAM}, "model_ema", "model"),
        ({"params": LAST, "params_ema": MEAN}, "params_ema", "params"),
        ({"ema": {"module": MEAN}, "net": LAST}, "ema.module", "net"),
        ({"model": LAST, "modelEMA": MEAN}, "modelEMA", "model"),
        ({"model": LAST, "swa_state_dict": MEAN}, "swa_state_dict", "model"),
        ({"ckpt": {"net": LAST, "net_ema": MEAN}}, "ckpt.net_ema", "ckpt.net"),
        ({**prefixed("model.", LAST), **prefixed("ema_model.", MEAN)}, "ema_model", "model"),
    ],
)
def test_averaged_weights_are_preferred_and_the_choice_is_told(
    tmp_path: Path, thing: object, key: str, other: str
) -> None:
    path = tmp_path / "w.pth"
    torch.save(thing, path)
    state = read(path)
    assert all(tensor.all() for tensor in state.tensors.values())
    assert state.is_averaged
    (remark,) = state.remarks
    assert f"those under '{key}' are taken, not '{other}'" in remark
    chosen = read(path, other)
    assert not any(tensor.any() for tensor in chosen.tensors.values())
    assert chosen.tensors.keys() == LAST.keys()
    assert chosen.remarks == ()


def test_averages_without_names_are_passed_over_and_that_is_told(tmp_path: Path) -> None:
    torch.save({"model": LAST, "ema": {"shadow_params": [torch.ones(3)]}}, tmp_path / "w.pth")
    state = read(tmp_path / "w.pth")
    assert state.key == "model"
    assert "are taken, not 'ema'" in state.remarks[0]


def test_a_key_chooses_beginnings_of_names_as_well(tmp_path: Path) -> None:
    names = {**prefixed("student.net.", LAST), **prefixed("teacher.net.", MEAN)}
    save_file(names, tmp_path / "w.safetensors")
    for key in ("teacher", "teacher.net"):
        state = read(tmp_path / "w.safetensors", key)
        assert all(tensor.all() for tensor in state.tensors.values())
    with pytest.raises(WeightsError, match=r"under the key 'teachr' .*did you mean 'teacher'"):
        read(tmp_path / "w.safetensors", "teachr")


def loop() -> dict[str, Any]:
    table: dict[str, Any] = {}
    table["model"] = table["state_dict"] = table
    return table


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (
            {"student": LAST, "teacher": LAST},
            "several, under 'student', 'teacher'.*its key, such as 'student'",
        ),
        ([LAST], "but holds a list"),
        (torch.zeros(1), "but holds one tensor"),
        (3.0, "but holds a float"),
        ({}, "but holds nothing"),
        ({0: torch.zeros(1)}, r"but holds '0' \(Tensor\)"),
        ({"epoch": 1, "loss": [2]}, r"but holds 'epoch' \(int\), 'loss' \(list\)"),
        ({"state_dict": {"a": 1}}, r"but holds 'state_dict' \(dict\)"),
        ({"\x1b[31m": {}}, r"but holds '\?\[31m' \(dict\)"),
        (loop(), "must hold a state dict"),
        (
            dict[Any, Any](LAST) | {("a", 1): LAST["fc.bias"]},
            r"one lies under .*, a tuple\. Save the module's own",
        ),
        (
            {"model": dict[Any, Any](LAST) | {None: LAST["fc.bias"]}},
            r"one lies under 'None', a NoneType",
        ),
    ],
)
def test_what_is_no_state_dict_is_refused_with_what_is_there(
    tmp_path: Path, thing: object, expected: str
) -> None:
    torch.save(thing, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=expected):
        read(tmp_path / "w.pth")
