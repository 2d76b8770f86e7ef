"""Spaces of a user's own that say of which pieces their networks are made, and so are trained."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from own_code import Perceptrons
from own_shared_net import SharedPerceptrons
from scipy.sparse import csr_array

from tailorbird import spaces
from tailorbird.errors import ContractError
from tailorbird.export.network import load
from tailorbird.pipeline.opening import open_recipe
from tailorbird.progress import NoProgress
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.spaces import IntArray, Piece, Workload
from tailorbird.spaces.contract import check_space
from tailorbird.spaces.shared import HasPieces

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "pieces"
[space]
module = "own_shared_net:{space}"
[device]
batch = 2
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
module = "users_module:good"
supernet_epochs = {epochs}
{accuracy}
evaluations = 10
predictor = "ridge"
[search]
population = 8
generations = 3
[report]
networks = 2
random_networks = 2
"""


def write(space: str = "SharedPerceptrons", accuracy: str = "", epochs: int = 1) -> None:
    Path("r.toml").write_text(RECIPE.format(space=space, accuracy=accuracy, epochs=epochs))


@pytest.mark.long
def test_a_space_with_pieces_is_trained_searched_and_exported(tailorbird: Tailorbird) -> None:
    write(epochs=40)
    code, _, err = tailorbird("run", "r.toml")
    assert code == 0, err
    front = pd.read_parquet("runs/pieces/front.parquet")
    assert front["accuracy_test"].max() > 0.5
    text = front["architecture"].iloc[-1]
    assert tailorbird("export", "r.toml", "--architecture", text)[0] == 0
    space = SharedPerceptrons(2)
    made = load(Path("runs/pieces/network/network.safetensors"), space)
    (X,) = space.enumerate()
    (row,) = [row for row in X if space.describe(row) == text]
    network = open_recipe(Path("r.toml")).accuracy.train(NoProgress()).extract(row)
    x = torch.rand(5, 1, 8, 8)
    with torch.inference_mode():
        assert torch.equal(network(x), made(x))


@pytest.mark.parametrize("rule", ["single-path", "sandwich", "own_rules:pair"])
@pytest.mark.parametrize("routes", [n for n, draw in ROUTE_DRAWS.items() if not draw.of_stitches])
@pytest.mark.long
def test_every_rule_and_draw_is_for_such_spaces(
    tailorbird: Tailorbird, rule: str, routes: str
) -> None:
    write(accuracy=f'rule = "{rule}"\nroutes = "{routes}"')
    code, _, err = tailorbird("train", "r.toml")
    assert code == 0, err


def test_networks_must_be_built_of_their_pieces(tailorbird: Tailorbird) -> None:
    write("Nested")
    code, out, err = tailorbird("run", "r.toml")
    assert code == 2
    assert not out
    assert err.count("\n") == 1
    law = (
        r"\[space\] module = 'own_shared_net:Nested': A network must be built as `nn.Sequential` "
        r"of the modules of its route, .* but '0.weight' of 4 has shape none, and \(16, 64\) in "
    )
    assert re.search(law, err), err
    assert not list(Path("runs").rglob("*.sqlite"))


def _edited(piece: Piece) -> Piece:
    return replace(piece, workload=replace(piece.workload, digest="01234567"))


@dataclass(frozen=True)
class Wrong(SharedPerceptrons):
    """Breaks a law of pieces and routes."""

    how: str = ""

    @property
    def pieces(self) -> Any:
        first, *between, last = super().pieces
        return {
            "no pieces": (),
            "workloads as pieces": tuple(p.workload for p in super().pieces),
            "twice": (first, *between, last, last),
            "alike": (first, *between, last, _edited(last)),
            "one less": (first, *between[1:], last),
            "kind": (replace(first, kind="stem"), *between, last),
            "dots": (replace(first, weights="a.b"), *between, last),
            "empty name": (replace(first, weights=""), *between, last),
            "number": (replace(first, weights=3), *between, last),  # type: ignore[arg-type]
            "two kinds": (first, replace(between[0], weights="first"), *between[1:], last),
        }.get(self.how, super().pieces)

    def route(self, row: IntArray) -> Any:
        route = super().route(row)
        if self.how == "list":
            return [*route]
        if self.how == "no route":
            return None
        if self.how == "one twice":
            return (*route, route[-1])
        if self.how == "same":
            return super().route(self.landmarks[0])
        if self.how == "chance":
            return route[:: np.random.default_rng().choice([-1, 1])]
        return route

    @property
    def workloads(self) -> tuple[Workload, ...]:
        workloads = tuple(dict.fromkeys(piece.workload for piece in super().pieces))
        return () if self.how == "bare" else workloads

    def count_workloads(self, X: IntArray) -> csr_array:
        n = len(self.workloads)
        counts = np.zeros((len(X), n), dtype=np.int64)
        for i, row in enumerate(X):
            counted = self.route if self.how == "same" else super().route
            for piece in counted(row):
                if n:
                    counts[i, self.workloads.index(piece.workload)] += 1
        return csr_array(counts)


@pytest.mark.parametrize(
    ("how", "law"),
    [
        ("no pieces", r"`pieces` .* `Piece`s, one at least"),
        ("workloads as pieces", r"`pieces` .* `Piece`s, one at least, but gave \[Workload"),
        ("twice", r"`pieces` .* distinct"),
        ("alike", r"`pieces` .* told apart by the params and inputs of their workloads where"),
        ("one less", r"`route\(\[0, 0, 0, 0\]\)` .* made of `pieces`, but gave also \[Piece"),
        ("kind", r"one of the kinds embedding, block, stitch, head, but gave 'stem'"),
        ("dots", r"names of weights, which have no dots, but gave 'a.b'"),
        ("empty name", r"names of weights, .* but gave ''"),
        ("number", r"names of weights, .* but gave 3"),
        ("two kinds", r"of one kind where weights have one name, but gave 'first' twice"),
        ("list", r"`route\(\[.*\]\)` .* a tuple of `Piece`s, but gave \"\[P.*SharedSpace for all"),
        ("no route", r"a tuple of `Piece`s, but gave None"),
        ("one twice", r"that `count_workloads` counts, but gave .* 2 times, and counted 1"),
        ("same", r"`route\(\[.*\]\)` .* that of no other row, but gave that of \[0, 0, 0, 0\]"),
        ("chance", r"the same whenever it is asked for"),
        ("bare", r"`workloads` .* must be those of all `pieces`, but gave all but \['own_flat"),
    ],
)
def test_pieces_and_routes_that_do_not_fit_are_refused(how: str, law: str) -> None:
    with pytest.raises(ContractError, match=law):
        check_space(Wrong(2, how))


@pytest.mark.parametrize("name", [n for n in spaces.registry.SPACES if n != "nasbench201"])
@pytest.mark.long
def test_spaces_with_pieces_keep_the_laws(name: str) -> None:
    space = spaces.get(name)
    assert isinstance(space, HasPieces)
    assert check_space(space) is space
    kinds = {piece.kind for piece in space.pieces}
    assert {"embedding", "block", "head"} <= kinds


def test_a_space_without_routes_needs_no_pieces() -> None:
    assert not isinstance(Perceptrons(), HasPieces)
    assert check_space(Perceptrons())
    assert check_space(SharedPerceptrons())
    assert isinstance(SharedPerceptrons().pieces[0], Piece)
