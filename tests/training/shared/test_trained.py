import time

import numpy as np
import pytest
import torch
from arrays import arrays
from torch import nn

from tailorbird.errors import InfeasibleError, MissingStepError, RecipeError
from tailorbird.spaces import IntArray
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Split, Trained
from tailorbird.training.data import digits
from tailorbird.training.shared import trained
from tailorbird.training.shared.network import SharedNetwork


@pytest.fixture
def x() -> torch.Tensor:
    return torch.from_numpy(arrays(digits.load().test).images[:20])


@pytest.fixture
def rows(one_stitch: StitchSpace) -> np.ndarray:
    sampled = one_stitch.sample(12, np.random.default_rng(0))
    return np.unique(np.concatenate([one_stitch.landmarks, sampled]), axis=0)


def test_switching_and_extracting_give_the_same_network_bit_for_bit(
    varied: Trained, rows: np.ndarray, x: torch.Tensor
) -> None:
    varied.prepare(rows)  # together, while extract calibrates one alone
    with torch.inference_mode():
        for row in rows:
            network = varied.set_route(row)
            assert torch.equal(network(x), varied.extract(row)(x))
            assert torch.equal(varied(x), network(x))


def test_switching_shares_weights_and_extracting_copies_them(
    varied: Trained, rows: np.ndarray
) -> None:
    shared = {p.data_ptr() for p in varied.network.parameters()}
    for row in rows:
        assert {p.data_ptr() for p in varied.set_route(row).parameters()} <= shared
        small = varied.extract(row)
        assert shared.isdisjoint(p.data_ptr() for p in small.parameters())
        assert all(not module.training for module in small.modules())
    before = varied.fingerprint
    with torch.no_grad():
        for tensor in varied.extract(rows[0]).state_dict().values():
            tensor.zero_()
    assert varied.fingerprint == before
    with torch.no_grad():
        next(varied.set_route(rows[0]).parameters()).add_(1)
    assert varied.fingerprint != before


def test_an_extracted_network_has_just_the_weights_it_needs(
    varied: Trained, one_stitch: StitchSpace, rows: np.ndarray
) -> None:
    for row in rows:
        small, fresh = varied.extract(row), one_stitch.build(row)
        shapes = {name: tensor.shape for name, tensor in small.state_dict().items()}
        assert shapes == {name: tensor.shape for name, tensor in fresh.state_dict().items()}


def test_switching_takes_less_than_a_tenth_of_a_millisecond(
    varied: Trained, rows: np.ndarray
) -> None:
    varied.prepare(rows)
    took = []
    for n in range(1000):
        row = rows[n % len(rows)]
        start = time.perf_counter_ns()
        varied.set_route(row)
        took.append(time.perf_counter_ns() - start)
    assert np.median(took) < 100_000


def test_a_network_must_be_chosen_before_it_runs(varied: Trained, x: torch.Tensor) -> None:
    with pytest.raises(MissingStepError, match="set_route"):
        varied(x)


@pytest.fixture
def known(varied: Trained, rows: np.ndarray) -> dict[tuple[int, ...], float]:
    """Accuracies of untrained networks, of which several are equal."""
    validation = digits.load().validation
    split = Split(arrays(validation).images[:10], validation.labels[:10])
    scores = varied.evaluate(rows, split)
    found = {tuple(row): float(score) for row, score in zip(rows.tolist(), scores, strict=True)}
    assert 1 < len(set(found.values())) < len(found)
    return found


def test_for_a_budget_the_most_accurate_network_is_taken_and_of_equals_the_fastest(
    varied: Trained, known: dict[tuple[int, ...], float], x: torch.Tensor
) -> None:
    rng = np.random.default_rng(1)
    latencies = {row: float(ms) for row, ms in zip(known, rng.permutation(len(known)), strict=True)}
    for limit in range(len(known)):
        fast = [row for row in known if latencies[row] <= limit]  # the limit itself is met
        best = max(known[row] for row in fast)
        expected = min((r for r in fast if known[r] == best), key=lambda r: latencies[r])
        chosen = varied.for_budget(latencies, limit)
        assert tuple(chosen) == expected
        with torch.inference_mode():
            assert torch.equal(varied(x), varied.extract(chosen)(x))


def test_a_budget_that_nothing_meets_says_what_the_fastest_takes(
    varied: Trained, known: dict[tuple[int, ...], float]
) -> None:
    latencies = dict.fromkeys(known, 2.5)
    with pytest.raises(InfeasibleError, match=r"latency <= 2 ms .* takes 2.5 ms"):
        varied.for_budget(latencies, 2)


def test_a_budget_asks_for_accuracies_that_are_not_known(
    varied: Trained, one_stitch: StitchSpace, known: dict[tuple[int, ...], float]
) -> None:
    every = map(tuple, np.concatenate(list(one_stitch.enumerate())).tolist())
    unknown = next(row for row in every if row not in known)
    latencies = {**dict.fromkeys(known, 1.0), unknown: 3.0}
    varied.for_budget(latencies, 2)  # too slow to matter
    text = one_stitch.describe(np.array(unknown))
    with pytest.raises(MissingStepError, match=r"1 of .* routes are not known") as caught:
        varied.for_budget(latencies, 3)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [[9, 0], [-1, 0], [0, 999], [0, -1], [0], [0, 0, 0], [2, 1]],
    ids=["anchor", "negative anchor", "stitch", "negative stitch", "short", "long", "elsewhere"],
)
def test_a_row_that_is_no_route_is_refused(varied: Trained, row: list[int]) -> None:
    wrong = np.array(row)
    split = digits.load().validation
    for use in (
        varied.set_route,
        varied.extract,
        varied.space.build,
        lambda row: varied.space.count_workloads(row[None]),
        lambda row: varied.prepare(row[None]),
        lambda row: varied.evaluate(row[None], split),
    ):
        with pytest.raises(ValueError, match=r"canonical|Rows must"):
            use(wrong)


def test_a_row_that_is_not_canonical_is_refused(varied: Trained, digits_space: StitchSpace) -> None:
    trained = Trained(digits_space, SharedNetwork(digits_space), varied._train)
    gap = np.array([0, 0, 1, 0])  # none before a stitch
    assert (digits_space.repair(gap[None])[0] == [0, 1, 0, 0]).all()
    with pytest.raises(ValueError, match=r"canonical|Rows must"):
        trained.set_route(gap)
    assert isinstance(trained.set_route(np.array([0, 1, 0, 0])), nn.Sequential)


def test_a_budget_is_met_by_accuracies_of_the_last_split_alone(
    varied: Trained, rows: IntArray
) -> None:
    data = digits.load()
    varied.evaluate(rows, data.validation)
    test = varied.evaluate(rows[:3], data.test)
    latencies = {tuple(row): 1.0 for row in rows[:3].tolist()}
    best = varied.for_budget(latencies, 2.0)
    assert best.tolist() == rows[int(test.argmax())].tolist()
    with pytest.raises(MissingStepError, match="not known"):
        varied.for_budget({tuple(row): 1.0 for row in rows.tolist()}, 2.0)
    with pytest.raises(InfeasibleError, match="No latencies"):
        varied.for_budget({}, 2.0)


@pytest.mark.parametrize("score", [float("nan"), 37.0, -0.1])
def test_a_score_that_is_no_share_is_refused(one_stitch: StitchSpace, score: float) -> None:
    data = digits.load()
    network = SharedNetwork(one_stitch)
    trained = Trained(one_stitch, network, data.train, lambda outputs, labels: score)
    with pytest.raises(RecipeError, match=r"between 0 and 1, but the evaluator gave"):
        trained.evaluate(one_stitch.landmarks[:1], data.test)


def test_no_rows_have_no_accuracies(varied: Trained, rows: IntArray) -> None:
    assert varied.evaluate(rows[:0], digits.load().test).shape == (0,)


def test_a_part_that_works_in_place_is_refused(one_stitch: StitchSpace) -> None:
    network = SharedNetwork(one_stitch)
    name = next(name for name, _ in network.named_layers("block"))
    network.parts[name] = nn.ReLU(inplace=True)
    trained = Trained(one_stitch, network, digits.load().train)
    with pytest.raises(ValueError, match=f"{name} works in place"):
        trained.evaluate(one_stitch.landmarks[:1], digits.load().test)


def test_outputs_that_are_not_finite_are_refused(varied: Trained, rows: np.ndarray) -> None:
    test = digits.load().test
    images = arrays(test).images[:50].copy()
    images[7, 0, 0, 0] = np.nan
    with pytest.raises(RecipeError, match="must be finite"):
        varied.evaluate(rows[:2], Split(images, test.labels[:50]))


def test_norms_are_never_calibrated_on_one_image_alone(
    varied: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "_LARGEST_BATCH", 2 * 64)  # two images of eight by eight pixels
    images, labels = arrays(varied._train).images, varied._train.labels
    varied._train = Split(images[:99], labels[:99])
    sizes = [len(batch) for batch in varied._calibration()]
    assert sum(sizes) == 99
    assert set(sizes) == {2, 3}
