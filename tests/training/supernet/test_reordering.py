"""The largest network computes what it did, or nothing is sorted."""

from functools import partial

import pytest
import torch
from own_net import of
from own_shared import of_images
from shared_spaces import images_of, varied
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import Stage
from tailorbird.training.supernet.importance import sort


class Statistics(nn.Module):
    """A norm of fixed statistics."""

    mean: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean.view(-1, 1, 1)


class FixedNorm(nn.Module):
    """A block with a fixed norm between its convolutions."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up, self.norm = nn.Conv2d(width, inner, 1), Statistics(inner)
        self.down = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.down(self.norm(self.up(x)).relu())
        return y


class Cast(nn.Conv2d):
    """A layer that takes images of any type."""

    def __init__(self, to: int) -> None:
        super().__init__(1, to, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float())


def test_modules_that_cast_are_compared_in_float32() -> None:
    space = of([Stage(FixedNorm, depth=(1, 2), inner=(4, 8))], partial(Cast, to=4))
    network, split = varied(space), images_of(space, 8)
    before = {n: w.clone() for n, w in network.named_parameters()}
    sort(space, network, split, "l1")
    assert any(not torch.equal(w, before[n]) for n, w in network.named_parameters())


@pytest.mark.parametrize("importance", ["l1", "taylor"])
def test_buffers_that_would_stay_in_their_places_are_refused(importance: str) -> None:
    space = of_images(FixedNorm, inner=(4, 8))
    split = images_of(space, 8)
    sort(space, varied(space), split, importance)  # of equal values no order matters
    network = varied(space)
    for name, buffer in network.named_buffers():
        buffer.copy_(torch.arange(len(buffer)))
        assert name.endswith("mean")
    before = {n: w.clone() for n, w in network.named_parameters()}
    with pytest.raises(ContractError, match=r"answers of that of .* would change by \d.* buffers"):
        sort(space, network, split, importance)
    assert all(torch.equal(w, before[n]) for n, w in network.named_parameters())
    sort(space, network, split, "none")
