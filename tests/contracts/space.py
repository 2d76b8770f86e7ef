"""What everyone who searches a space relies on."""

import numpy as np
import pytest
import torch
from strategies import distinct_rows, rows_within
from torch import nn

from tailorbird.spaces import SearchSpace
from tailorbird.spaces.contract import check_space
from tailorbird.spaces.footprint import count_macs, n_macs
from tailorbird.spaces.layered import MAX_ENUMERATED
from tailorbird.spaces.shared import HasPieces

N, SMALL = 40, 500


class SpaceContract:
    """Needs a fixture `space`."""

    @pytest.fixture
    def space(self) -> SearchSpace:
        raise NotImplementedError

    def test_the_check_of_recipes_accepts_it(self, space: SearchSpace) -> None:
        assert check_space(space) is space

    def test_repair_gives_canonical_rows_within_the_choices(self, space: SearchSpace) -> None:
        X = rows_within(space, N, seed=1)
        before = X.copy()
        repaired = space.repair(X)
        np.testing.assert_array_equal(X, before)
        np.testing.assert_array_equal(space.repair(repaired), repaired)
        n_choices = np.array([len(variable.choices) for variable in space.variables])
        assert repaired.shape == X.shape
        assert ((repaired >= 0) & (repaired < n_choices)).all()

    def test_samples_are_canonical_and_repeatable(self, space: SearchSpace) -> None:
        X, again = (space.sample(N, np.random.default_rng(2)) for _ in range(2))
        np.testing.assert_array_equal(X, again)
        np.testing.assert_array_equal(space.repair(X), X)
        assert space.sample(0, np.random.default_rng(0)).shape == (0, len(space.variables))

    def test_enumeration_and_size_agree(self, space: SearchSpace) -> None:
        if space.size > MAX_ENUMERATED:
            with pytest.raises(ValueError, match=r"."):
                next(space.enumerate())
            return
        n = 0
        for X in space.enumerate(chunk=1_000):
            assert 0 < len(X) <= 1_000
            n += len(X)
            np.testing.assert_array_equal(space.repair(X[:20]), X[:20])
        assert n == space.size

    def test_all_of_a_small_space_are_listed_once_and_drawn(self, space: SearchSpace) -> None:
        if space.size <= SMALL:
            listed = np.concatenate(list(space.enumerate()))
            assert len(np.unique(listed, axis=0)) == space.size
            drawn = space.sample(20 * SMALL, np.random.default_rng(5))
            assert len(np.unique(drawn, axis=0)) > 0.9 * space.size

    def test_reference_architectures_are_canonical(self, space: SearchSpace) -> None:
        X = space.landmarks
        assert len(X)
        np.testing.assert_array_equal(space.repair(X), X)

    def test_counts_belong_to_rows(self, space: SearchSpace) -> None:
        X = space.sample(N, np.random.default_rng(3))
        counts = space.count_workloads(X).toarray()
        assert counts.shape == (N, len(space.workloads))
        np.testing.assert_array_equal(space.count_workloads(X[::-1]).toarray(), counts[::-1])

    def test_rows_that_are_not_canonical_have_no_counts(self, space: SearchSpace) -> None:
        X = rows_within(space, 400, seed=4)
        wrong = X[(space.repair(X) != X).any(axis=1)]
        if len(wrong):
            with pytest.raises(ValueError, match=r"."):
                space.count_workloads(wrong[:1])

    def test_networks_are_built_of_the_pieces_of_their_routes(self, space: SearchSpace) -> None:
        if not isinstance(space, HasPieces):
            return
        known = {*space.pieces}
        for row in space.landmarks[[0, -1]]:
            route = space.route(row)
            assert known.issuperset(route)
            with torch.device("meta"):
                sequence = nn.Sequential(*(piece.workload.build() for piece in route))
                network = space.build(row)
            shapes, wanted = (
                {name: tensor.shape for name, tensor in module.state_dict().items()}
                for module in (network, sequence)
            )
            assert shapes == wanted

    def test_rows_that_are_not_canonical_have_no_routes(self, space: SearchSpace) -> None:
        X = rows_within(space, 400, seed=4)
        wrong = X[(space.repair(X) != X).any(axis=1)]
        if isinstance(space, HasPieces) and len(wrong):
            with pytest.raises(ValueError, match=r"."):
                space.route(wrong[0])

    def test_texts_tell_architectures_apart(self, space: SearchSpace) -> None:
        X = distinct_rows(space, N)
        assert len({space.describe(row) for row in X}) == len(X)
        assert all(space.kind(row) for row in X)

    def test_networks_compute_what_their_workloads_do(self, space: SearchSpace) -> None:
        X = space.landmarks[np.argsort(count_macs(space, space.landmarks))][[0, -1]]
        for row, macs in zip(X, count_macs(space, X), strict=True):
            with torch.device("meta"):
                network = space.build(row).eval()
            assert n_macs(network, [space.input_shape]) == macs

    def test_the_smallest_network_takes_the_input(self, space: SearchSpace) -> None:
        row = space.landmarks[int(np.argmin(count_macs(space, space.landmarks)))]
        with torch.inference_mode():
            output = space.build(row).eval()(torch.zeros(space.input_shape))
        assert output.shape[0] == space.input_shape[0]
