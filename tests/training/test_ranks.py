"""Networks that several processes train together are those that one process trains."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import PATIENCE_S
from rank_training import BATCH, N_IMAGES, one_step, one_step_space
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tailorbird.training.compute import CPU
from tailorbird.training.shared.network import fresh
from tailorbird.training.shares import share_of

SCRIPT = Path(__file__).parents[1] / "rank_training.py"
FEW = ("stitched-batch-norm", "sandwich-batch-norm")
KINDS = (*FEW, "stitched-layer-norm", "sandwich-layer-norm", "parts")

Weights = Mapping[str, Tensor]


def ranks(n: int, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the script as n ranks, which find each other on this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(n), str(SCRIPT), str(folder), *arguments]
    path = os.pathsep.join([str(SCRIPT.parent), *sys.path])
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def trained(n: int, folder: Path, *arguments: str) -> dict[str, Weights]:
    done = ranks(n, folder, *arguments)
    assert done.returncode == 0, done.stderr
    return weights(folder)


def weights(folder: Path) -> dict[str, Weights]:
    files = sorted(folder.rglob("*.safetensors"))
    return {str(file.relative_to(folder)): load_file(file) for file in files}


def distance(one: Mapping[str, Weights], other: Mapping[str, Weights]) -> float:
    assert one.keys() == other.keys()
    return max(
        (one[file][name].double() - other[file][name].double()).abs().max().item()
        for file in one
        for name in one[file]
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Weights]:
    """What one process trains."""
    return trained(1, tmp_path_factory.mktemp("alone"), *FEW)


def test_ranks_train_what_one_process_does(tmp_path: Path, alone: dict[str, Weights]) -> None:
    together = trained(2, tmp_path, *FEW)
    assert {Path(file).parts[0] for file in together} == {*FEW}
    assert distance(alone, together) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 4])
def test_ranks_train_all_kinds_as_one_process_does(tmp_path: Path, n: int) -> None:
    alone, together = (trained(k, tmp_path / str(k), *KINDS) for k in (1, n))
    assert {Path(file).parts[0] for file in alone} == {*KINDS}
    assert distance(alone, together) < 1e-9


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.long
def test_gradients_of_a_step_in_float32(tmp_path: Path, n: int) -> None:
    (together,) = trained(n, tmp_path, "one-step", "--dtype", "float32").values()
    one_step(CPU, tmp_path / "alone")
    alone = load_file(tmp_path / "alone" / "supernet.safetensors")
    begun = fresh(one_step_space(), 0).state_dict()
    largest = max((alone[name] - begun[name]).abs().max().item() for name in alone)
    assert largest > 0
    for name in alone:
        assert (alone[name] - together[name]).abs().max().item() <= 1e-5 * largest


@pytest.mark.parametrize(
    ("n", "after"),
    [
        (2, 1),
        pytest.param(2, 4, marks=pytest.mark.slow),
        pytest.param(4, 2, marks=pytest.mark.slow),
    ],
)
@pytest.mark.long
def test_a_killed_rank_ends_all_and_others_go_on(
    tmp_path: Path, alone: dict[str, Weights], n: int, after: int
) -> None:
    kind = "sandwich-batch-norm"
    done = ranks(n, tmp_path, kind, "--kill", "1")
    assert done.returncode != 0
    assert [file.name for file in (tmp_path / kind).iterdir()] == [
        "supernet.checkpoint.safetensors"
    ]
    with safe_open(tmp_path / kind / "supernet.checkpoint.safetensors", framework="pt") as file:
        assert int(file.metadata()["step"]) > 10
    went_on = trained(after, tmp_path, kind)
    assert distance({file: alone[file] for file in went_on}, went_on) < 1e-9


def test_a_weight_learns_from_the_ranks_that_used_it(tmp_path: Path) -> None:
    arguments = ("sums", "--dtype", "float32", "--routes", "own", "--norms", "local")
    done = ranks(2, tmp_path, *arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_ranks_that_ran_other_networks_are_told(tmp_path: Path) -> None:
    done = ranks(2, tmp_path, "others", "--dtype", "float32")
    assert "All ranks must run the same networks" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        ("--norms", "local"),
        pytest.param(("--routes", "own", "--norms", "local"), marks=pytest.mark.slow),
    ],
)
def test_local_norms_and_own_routes_are_others(
    tmp_path: Path, alone: dict[str, Weights], options: tuple[str, ...]
) -> None:
    kind = "sandwich-batch-norm"
    apart = trained(2, tmp_path, kind, *options)
    assert all(bool(t.isfinite().all()) for of in apart.values() for t in of.values())
    assert distance({file: alone[file] for file in apart}, apart) > 1e-6


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("n_parts", [1, 2, 3])
@pytest.mark.parametrize("n_images", [2, 5, BATCH, N_IMAGES])
def test_shares_are_all_images_once(n: int, n_parts: int, n_images: int) -> None:
    n_parts = min(n_parts, n_images // 2)
    shares = [share_of(n_images, n_parts, number, n) for number in range(n)]
    taken = np.sort(np.concatenate([share.index for share in shares]))
    n_takers = shares[0].n_takers
    np.testing.assert_array_equal(taken, np.repeat(np.arange(n_images), n_takers))
    assert sum(sum(share.weights) for share in shares) == pytest.approx(1)
    for part in range(n_parts):
        own = np.sort(np.concatenate([np.r_[share.parts[part]] for share in shares]))
        assert np.ptp(own) + 1 == len(own) / n_takers  # neighbours, as in one process
    for share in shares:
        assert share.is_whole == (n == 1 or n_takers > 1)
        values = torch.arange(n_images)
        np.testing.assert_array_equal(share.of(values), share.index)
