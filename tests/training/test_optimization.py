"""Optimizers, schedules, decay, clipping and smoothing, as a recipe asks for them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from shared_spaces import space_of
from torch import Tensor, nn, optim

from tailorbird.errors import ContractError
from tailorbird.progress import NoProgress
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.training import SupernetTraining, Training, fit, saving, train, train_supernet
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.compute import CPU
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.data.loading import StepImages
from tailorbird.training.distillation import labels_only, loss_of, smoothed, soft
from tailorbird.training.fit import Schedule
from tailorbird.training.optimization import OPTIMIZERS, SCHEDULES, Optimization

N_STEPS, EPOCHS = 40, 10
EVERY = [
    Optimization(optimizer, schedule=schedule, warm_up_epochs=warm_up)
    for optimizer in OPTIMIZERS
    for schedule in SCHEDULES
    for warm_up in (None, 0, 1, 3, 9)
]


class Net(nn.Module):
    """A layer that learns under `parts`, as checkpoints have it, and one that does not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.parts = nn.ModuleDict({"a": nn.Linear(64, 16), "n": nn.LayerNorm(16)})
        self.parts["b"] = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.parts["n"](self.parts["a"](x.flatten(1)))
        logits: Tensor = self.parts["b"](hidden)
        return logits


def parameters_of(net: Net, names: str) -> list[nn.Parameter]:
    return [p for name in names for p in net.parts[name].parameters()]


def fitted(net: Net, data: Dataset, folder: Path, how: Optimization, names: str = "anb") -> None:
    checkpoint = Checkpoint(folder / "c.safetensors", "of a test", [*names])
    fit.fit(
        net,
        [{"params": parameters_of(net, names), "lr": 0.02}],
        lambda step, x, labels: (labels_only(net(x), labels, x),),
        data,
        Schedule(3, 25, 7),
        how,
        CPU,
        checkpoint,
        lambda what: None,
    )


def test_steps_are_by_default_those_that_they_always_were(
    few_digits: Dataset, tmp_path: Path
) -> None:
    """AdamW, decay of everything, one cycle, and gradients of at most 5: to the last bit."""
    net, plain = Net(), Net()
    fitted(net, few_digits, tmp_path, Optimization())
    parameters = parameters_of(plain, "anb")
    optimizer = optim.AdamW(parameters, lr=0.02, weight_decay=1e-2, fused=True)
    n_steps = 3 * len(few_digits.train.labels) // 25
    rates = optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=n_steps + 1)
    images = StepImages(few_digits, 25, 7)
    for x, labels in map(images, range(n_steps)):
        optimizer.zero_grad()
        F.cross_entropy(plain(x), labels).backward()  # type: ignore[no-untyped-call]  # torch
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        rates.step()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, net.state_dict()[name]), name
    assert Optimization().decides == {}


def rates_of(how: Optimization, first: int = 0, last: int = N_STEPS) -> tuple[list[float], object]:
    """Learning rates of steps, and the state of the optimizer after them; resumed if not first."""
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = how.optimizer_of([{"params": [weight], "lr": 0.5}])
    if first:
        optimizer.load_state_dict(rates_of(how, last=first)[1])  # type: ignore[arg-type]  # any field
    schedule = how.rates(optimizer, N_STEPS, first, EPOCHS)
    rates = []
    for _ in range(first, last):
        weight.grad = torch.ones(2, 2)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates, optimizer.state_dict()


@pytest.mark.parametrize("how", EVERY, ids=str)
@pytest.mark.parametrize("first", [1, 4, 11, 39])
def test_rates_go_on_where_they_were(how: Optimization, first: int) -> None:
    np.testing.assert_array_equal(rates_of(how, first)[0], rates_of(how)[0][first:])


@pytest.mark.parametrize("how", EVERY, ids=str)
def test_rates_rise_to_their_peak_for_as_long_as_they_are_to_and_fall(how: Optimization) -> None:
    rates = np.array(rates_of(how)[0])
    of_schedule = 12 if how.schedule == "one-cycle" else 0  # three tenths, or none
    n_rising = of_schedule if how.warm_up_epochs is None else 4 * how.warm_up_epochs
    assert abs(int(rates.argmax()) - n_rising) <= 1
    assert rates.max() == pytest.approx(0.5, rel=0.05)
    assert (np.diff(rates[: rates.argmax() + 1]) > 0).all()
    assert (np.diff(rates[rates.argmax() :]) < 0).all()
    assert 0 < rates[-1] < 0.1 * 0.5 or n_rising > 30


def test_a_cosine_falls_as_one() -> None:
    rates = np.array(rates_of(Optimization(schedule="cosine", warm_up_epochs=2))[0])
    np.testing.assert_allclose(rates[:8], 0.5 * np.arange(1, 9) / 9)
    np.testing.assert_allclose(rates[8:], 0.25 * (1 + np.cos(np.pi * np.arange(32) / 32)))


def test_a_warm_up_without_end_is_refused() -> None:
    with pytest.raises(ContractError, match=r"below the 10 epochs of training, .* but is 10\."):
        rates_of(Optimization(warm_up_epochs=EPOCHS))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("decay_norms", [True, False])
def test_norms_and_biases_decay_only_if_they_are_to(optimizer: str, decay_norms: bool) -> None:
    net = Net()
    how = Optimization(optimizer, weight_decay=0.1, decay_norms=decay_norms)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    made = how.optimizer_of([{"params": [*net.parameters()], "lr": 0.5}])
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    made.step()
    for name, p in net.named_parameters():
        shrinks = decay_norms or p.ndim > 1
        expected = before[name] * (1 - 0.5 * 0.1 * (1.9 if optimizer == "sgd" else 1))
        torch.testing.assert_close(p.detach(), expected if shrinks else before[name])


def test_gradients_are_as_long_as_they_may_be() -> None:
    for clip, length in ((0.0, 50.0), (5.0, 5.0), (100.0, 50.0)):
        weight = nn.Parameter(torch.zeros(2))
        optimizer = Optimization(clip=clip).optimizer_of([{"params": [weight], "lr": 1.0}])
        weight.grad = torch.tensor([30.0, 40.0])
        assert float(Optimization(clip=clip).clipped(optimizer)) == pytest.approx(50)
        assert float(weight.grad.norm()) == pytest.approx(length, rel=1e-5)


def test_labels_are_smoothed_and_answers_of_a_teacher_are_not() -> None:
    logits, labels, x = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0]), torch.randn(5, 3)
    assert smoothed(0.0) is labels_only
    own = F.cross_entropy(logits, labels, label_smoothing=0.3)
    assert torch.equal(loss_of("none", None, 0.3)(logits, labels, x), own)
    teacher = nn.Linear(3, 4)
    answers = F.cross_entropy(logits, teacher(x).softmax(dim=1))
    torch.testing.assert_close(
        loss_of("soft", teacher, 0.3)(logits, labels, x), (own + answers) / 2
    )
    assert torch.equal(
        loss_of("soft", teacher)(logits, labels, x), soft(teacher)(logits, labels, x)
    )


def test_what_does_not_learn_keeps_no_gradient(few_digits: Dataset, tmp_path: Path) -> None:
    net = Net()
    before = [p.detach().clone() for p in parameters_of(net, "an")]
    fitted(net, few_digits, tmp_path, Optimization(), "b")
    for p, unchanged in zip(parameters_of(net, "an"), before, strict=True):
        assert torch.equal(p, unchanged)
    assert all(p.grad is None for p in net.parameters())


def test_momentum_of_sgd_stays_as_it_is() -> None:
    for schedule in SCHEDULES:
        _, state = rates_of(Optimization("sgd", schedule=schedule), last=20)
        assert isinstance(state, dict)
        assert [group["momentum"] for group in state["param_groups"]] == [0.9]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"weight_decay": value} for value in (-0.1, float("nan"), float("inf"), True, "no")),
        *({"clip": value} for value in (-1.0, float("nan"), None)),
        *({"label_smoothing": value} for value in (1.0, 2.0, -0.1)),
        *({"warm_up_epochs": value} for value in (-3, float("nan"))),
    ],
    ids=str,
)
def test_what_is_no_such_number_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ContractError, match=f"{min(wrong)} must be a number from 0 to .*, but is"):
        Optimization(**wrong)  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize("name", ["optimizer", "schedule"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ContractError, match=f"There is no {name} 'adam'"):
        Optimization(**{name: "adam"})  # type: ignore[arg-type]  # any field


HOW = [
    Optimization("sgd", schedule="cosine", warm_up_epochs=1, decay_norms=False, clip=0.0),
    Optimization(weight_decay=0.0, label_smoothing=0.1),
]


@pytest.mark.parametrize("how", HOW, ids=["sgd", "adamw"])
@pytest.mark.parametrize("n_routes", [1, 3])
def test_supernets_that_fail_amid_go_on_to_the_same_weights(
    few_digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: Optimization,
    n_routes: int,
) -> None:
    """Parts that no step had reached before it have no momentum yet."""
    monkeypatch.setattr(saving, "_SAVED_EVERY_S", 0)
    space = space_of("own-net")
    settings = SupernetTraining(6, 0, batch=20, optimization=how, routes_per_step=n_routes)
    whole = train_supernet(space, few_digits, settings, tmp_path / "whole", NoProgress())
    steps = 0

    def failing(images: Tensor, generator: torch.Generator) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise InterruptedError
        return few_digits.augment(images, generator)

    data = replace(few_digits, augment=failing)
    with pytest.raises(InterruptedError):
        train_supernet(space, data, settings, tmp_path / "b", NoProgress())
    resumed = train_supernet(space, data, settings, tmp_path / "b", NoProgress())
    n_steps = 6 * len(few_digits.train.labels) // 20 // n_routes
    assert steps == n_steps + 1  # that in which it failed
    assert resumed.fingerprint == whole.fingerprint
    other = replace(settings, optimization=Optimization(), routes_per_step=1)
    other = replace(other, epochs=settings.epochs // n_routes)
    plain = train_supernet(space, few_digits, other, tmp_path / "whole", NoProgress())
    assert plain.fingerprint != whole.fingerprint


@pytest.mark.parametrize("rule", ["sandwich", "sorted", "delayed-shrinking"])
def test_rules_of_several_networks_are_not_repeated(
    few_digits: Dataset, tmp_path: Path, rule: str
) -> None:
    settings = SupernetTraining(1, 0, rule=rule, routes_per_step=2)
    with pytest.raises(ContractError, match="routes_per_step = 2 is for rules that train one"):
        train_supernet(space_of("own-net"), few_digits, settings, tmp_path, NoProgress())


STITCHED = Training(2, 4, 0, batch=25, stitch_images=40)


@pytest.mark.parametrize(
    "other",
    [
        {"shared_learning_rates": {"stitch": 2e-2}},
        {"routes_per_step": 2},
        {"share_of_anchors": 0.9},
        {"optimization": HOW[0]},
    ],
    ids=str,
)
def test_other_steps_of_stitched_networks_make_other_weights(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path, other: dict[str, object]
) -> None:
    first = train(small_space, few_digits, STITCHED, tmp_path, NoProgress())
    anchors = {path: path.stat().st_mtime_ns for path in tmp_path.glob("anchor-*")}
    changed: Training = replace(STITCHED, **other)  # type: ignore[arg-type]  # any field
    second = train(small_space, few_digits, changed, tmp_path, NoProgress())
    assert second.fingerprint != first.fingerprint
    # Anchors alone learn as before, unless their steps are others.
    again = {path: path.stat().st_mtime_ns for path in tmp_path.glob("anchor-*")}
    assert (again == anchors) == ("optimization" not in other)


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ({"routes_per_step": 0}, "routes_per_step must be a whole number from 1 on, but is 0"),
        ({"share_of_anchors": 1.0}, "from 0 to below 1, or stitches never learn, but is 1.0"),
        ({"share_of_anchors": float("nan")}, "from 0 to below 1, .* but is nan"),
        ({"optimization": Optimization(warm_up_epochs=4)}, "below the 4 epochs of training"),
        ({"optimization": Optimization(warm_up_epochs=3)}, "below the 2 epochs of training"),
    ],
    ids=str,
)
def test_steps_that_cannot_be_are_refused_before_anything_is_trained(
    small_space: StitchSpace,
    few_digits: Dataset,
    tmp_path: Path,
    wrong: dict[str, object],
    law: str,
) -> None:
    settings: Training = replace(STITCHED, **wrong)  # type: ignore[arg-type]  # any field
    if "4 epochs" in law:
        settings = replace(settings, train_epochs=5)
    with pytest.raises(ContractError, match=law):
        train(small_space, few_digits, settings, tmp_path, NoProgress())
    assert not [*tmp_path.iterdir()]


def test_a_share_of_anchors_needs_networks_with_stitches(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    bare = StitchSpace(small_space.family, Windows(2, 1), max_stitches=0)
    settings = replace(STITCHED, share_of_anchors=0.0)
    with pytest.raises(ContractError, match=r"is for networks with stitches, but .* alone"):
        train(bare, few_digits, settings, tmp_path, NoProgress())


def test_what_is_asked_for_as_it_is_by_default_is_not_trained_again(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    train(small_space, few_digits, STITCHED, tmp_path, NoProgress())
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for same in (
        replace(STITCHED, shared_learning_rates=dict(STITCHED.learning_rates)),
        replace(STITCHED, optimization=Optimization("adamw", 1e-2), routes_per_step=1),
    ):
        train(small_space, few_digits, same, tmp_path, NoProgress())
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    # The rate of stitches is that of the only stage that has some.
    rates = {**STITCHED.learning_rates, "stitch": 0.5}
    one = replace(STITCHED, learning_rates=rates)
    other = replace(STITCHED, shared_learning_rates=rates)
    assert one.together() == other.together() != STITCHED.together()


def test_parts_without_a_shared_learning_rate_stay_as_they_were_alone(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    rates = {"stitch": 2e-2}
    settings = replace(STITCHED, shared_learning_rates=rates)
    trained = train(small_space, few_digits, settings, tmp_path, NoProgress())
    untrained = train(
        small_space, few_digits, replace(STITCHED, stitch_epochs=0), tmp_path / "b", NoProgress()
    )
    pairs = zip(
        trained.network.named_parameters(), untrained.network.named_parameters(), strict=True
    )
    for (name, one), (_, other) in pairs:
        assert torch.equal(one, other) == ("stitch" not in name), name
