"""How the steps of training change weights: optimizer, decay, clipping, schedule, smoothing."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from torch import Tensor, nn, optim

from tailorbird.errors import ContractError, shown
from tailorbird.registry.python_paths import check_named
from tailorbird.training.data.mixing import Mixing

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one-cycle", "cosine")

_RISE = 0.3  # of all steps, in which the rates of one cycle rise unless something else is asked for
_MOMENTUM = 0.9

Group = Mapping[str, object]
"""Parameters that learn, `params`, with their peak learning rate, `lr`."""


@dataclass(frozen=True, slots=True)
class Optimization:
    """Settings of the steps of training; the defaults are right for networks from scratch.

    Attributes:
        optimizer: `adamw`, or `sgd` with Nesterov's momentum of 0.9.
        weight_decay: share of a weight that a step takes off, times the learning rate; of `sgd` it
            is a part of the gradient.
        decay_norms: whether scales of norms and biases decay as well: tensors of one dimension.
        clip: largest norm of the gradient of a step; 0 leaves gradients as they are.
        schedule: `one-cycle` or `cosine`: how learning rates fall from their peaks.
        warm_up_epochs: in which they rise to them; if None, three tenths of all epochs in one
            cycle, and none by a cosine.
        label_smoothing: share of the target of a loss that all classes have alike.
        accumulation: parts in which the images of a step pass one after another, so that fewer
            activations are in memory; norms see one part at a time.
        weight_averaging: share that a step keeps of averages of the weights, which training ends
            with, such as 0.999; 0 for the weights of the last step.
        mixup: how images are mixed, see `Mixing`.
        cutmix: likewise.
        drop_path: how often the last block is left out for an image, and earlier ones less often;
            only blocks whose output has the shape of their input.

    Raises:
        ContractError: if there is no optimizer or schedule of a name, or a number is none of its
            kind.

    References:
        Loshchilov, Hutter: Decoupled Weight Decay Regularization. ICLR 2019.
        Smith, Topin: Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
        Rates. 2018.
        Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017.
        Huang, Sun, Liu, Sedra, Weinberger: Deep Networks with Stochastic Depth. ECCV 2016.
        Szegedy et al.: Rethinking the Inception Architecture for Computer Vision. CVPR 2016.
    """

    optimizer: str = "adamw"
    weight_decay: float = 1e-2
    decay_norms: bool = True
    clip: float = 5.0
    schedule: str = "one-cycle"
    warm_up_epochs: int | None = None
    label_smoothing: float = 0.0
    accumulation: int = 1
    weight_averaging: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        check_named(self.optimizer, OPTIMIZERS, "optimizer")
        check_named(self.schedule, SCHEDULES, "schedule")
        _check_number("weight_decay", self.weight_decay, 10)
        _check_number("clip", self.clip, 1e6)
        for name in ("label_smoothing", "weight_averaging", "drop_path"):
            _check_number(name, getattr(self, name), math.nextafter(1, 0))
        for name in ("mixup", "cutmix"):
            _check_number(name, getattr(self, name), 100)
        if not isinstance(self.accumulation, int) or self.accumulation < 1:
            raise ContractError(
                f"accumulation must be a whole number from 1 on, but is {shown(self.accumulation)}."
            )
        if self.warm_up_epochs is not None:
            _check_number("warm_up_epochs", self.warm_up_epochs, 1e6)

    @property
    def decides(self) -> dict[str, object]:
        """What decides weights: only what is no default, so that earlier weights are known."""
        plain = asdict(Optimization())
        return {key: value for key, value in asdict(self).items() if value != plain[key]}

    @property
    def mixing(self) -> Mixing:
        """How images are mixed."""
        return Mixing(self.mixup, self.cutmix)

    def n_parts(self, n_images: int) -> int:
        """Parts in which the images of a step pass; each has two, from which norms learn."""
        return max(1, min(self.accumulation, n_images // 2))

    def check_warm_up(self, epochs: int) -> None:
        """Refuses a warm-up that leaves nothing of training; without any epochs there is none.

        Raises:
            ContractError: if so.
        """
        if self.warm_up_epochs is not None and 0 < epochs <= self.warm_up_epochs:
            raise ContractError(
                f"warm_up_epochs must be below the {epochs} epochs of training, in which learning "
                f"rates are to fall again, but is {self.warm_up_epochs}."
            )

    def optimizer_of(self, groups: Iterable[Group]) -> optim.Optimizer:
        """Optimizer of groups of parameters."""
        parted = [part for group in groups for part in self._parted(group)]
        if self.optimizer == "sgd":  # not fused: that fails where some parts had no gradient yet
            return optim.SGD(
                parted, weight_decay=self.weight_decay, momentum=_MOMENTUM, nesterov=True
            )
        return optim.AdamW(parted, weight_decay=self.weight_decay, fused=True)

    def _parted(self, group: Group) -> list[dict[str, Any]]:
        """A group, or its parameters that decay and those that do not."""
        if self.decay_norms:
            return [dict(group)]
        parameters = cast("list[Tensor]", group["params"])
        decaying = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        parts = [{**group, "params": decaying}, {**group, "params": others, "weight_decay": 0.0}]
        return [part for part in parts if part["params"]]

    def rates(
        self, optimizer: optim.Optimizer, n_steps: int, first: int, epochs: int
    ) -> optim.lr_scheduler.LRScheduler:
        """Schedule of learning rates from a step on; a loaded optimizer knows its peaks.

        So does one that was saved before its first step, whose rates are low already.

        Args:
            optimizer: whose rates they are.
            n_steps: of all training.
            first: step that is the next.
            epochs: in which these steps are taken.
        """
        self.check_warm_up(epochs)
        last = first - 1 if first else -1
        n_rising = n_steps * (self.warm_up_epochs or 0) // epochs
        if self.schedule == "cosine":
            if not first:
                for group in optimizer.param_groups:
                    group["lr"] = group.get("initial_lr", group["lr"])

            def share(step: int) -> float:
                if step < n_rising:
                    return (step + 1) / (n_rising + 1)
                return (1 + math.cos(math.pi * (step - n_rising) / (n_steps - n_rising))) / 2

            return optim.lr_scheduler.LambdaLR(optimizer, share, last_epoch=last)
        peaks = [group.get("max_lr", group["lr"]) for group in optimizer.param_groups]
        rise = _RISE
        if self.warm_up_epochs is not None:  # a rise of one step would divide by 0
            rise = (n_rising + 1) / (n_steps + 1) if n_rising else 0.0
        return optim.lr_scheduler.OneCycleLR(
            optimizer,
            peaks,
            total_steps=n_steps + 1,
            pct_start=rise,
            cycle_momentum=self.optimizer == "adamw",
            last_epoch=last,
        )

    def clipped(self, optimizer: optim.Optimizer) -> Tensor:
        """Shortens the gradient of a step to its largest norm; returns the norm that it had."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        return nn.utils.clip_grad_norm_(parameters, self.clip or math.inf)


def _check_number(name: str, value: object, most: float) -> None:
    """Refuses what is no number from 0 on.

    Raises:
        ContractError: naming it.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= cast("float", value) <= most:
        raise ContractError(f"{name} must be a number from 0 to {most:g}, but is {shown(value)}.")
