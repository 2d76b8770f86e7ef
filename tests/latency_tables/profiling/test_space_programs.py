import numpy as np
import torch

from tailorbird.latency_tables.profiling.space_programs import (
    network_bytes,
    network_program,
    programs_of,
)
from tailorbird.spaces import CALL
from tailorbird.spaces.stitching import StitchSpace


def bytes_of(module: torch.nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in module.state_dict().values())


def test_a_workload_is_as_cold_as_in_the_networks_that_hold_it(digits_space: StitchSpace) -> None:
    X = np.concatenate(list(digits_space.enumerate()))
    counts = digits_space.count_workloads(X).toarray()
    sizes = counts @ [bytes_of(w.build()) for w in digits_space.workloads]
    exact = [np.median(sizes[column > 0]) for column in counts.T]
    np.testing.assert_allclose(network_bytes(digits_space), exact, rtol=0.15)


def test_the_weights_of_a_network_are_those_of_its_workloads(digits_space: StitchSpace) -> None:
    row = digits_space.landmarks[0]
    (counts,) = digits_space.count_workloads(row[None]).toarray()
    total = sum(
        n * bytes_of(w.build()) for n, w in zip(counts, digits_space.workloads, strict=True)
    )
    assert total == bytes_of(digits_space.build(row))


def test_every_workload_and_the_empty_program_are_measured(digits_space: StitchSpace) -> None:
    programs = programs_of(digits_space)
    assert [p.key for p in programs] == [w.key for w in (*digits_space.workloads, CALL)]
    assert all(p.network_bytes > 0 for p in programs[:-1])
    assert programs[-1].network_bytes == 0


def test_counting_bytes_leaves_the_dice_alone(digits_space: StitchSpace) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    programs_of(digits_space)
    assert torch.equal(torch.get_rng_state(), before)


def test_distinct_networks_have_distinct_keys(digits_space: StitchSpace) -> None:
    X = digits_space.repair(digits_space.sample(20, np.random.default_rng(0)))
    X = np.unique(X, axis=0)
    programs = [network_program(digits_space, row) for row in X]
    assert len({p.key for p in programs}) == len(X)
    assert programs[0].key.startswith(f"{digits_space.name}/")
    assert programs[0].key.endswith("[2x1x8x8]f32")
    assert bytes_of(programs[0].module()) == bytes_of(digits_space.build(X[0]))
