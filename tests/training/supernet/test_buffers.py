"""Buffers of a file reach smaller networks, as weights do."""

from pathlib import Path
from typing import Any

import torch
from own_shared import of_images
from shared_spaces import space_of
from torch import Tensor, nn

from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.shared.network import fresh
from tailorbird.training.supernet.largest import place


class Shifted(nn.Module):
    """Channels that are shifted by fixed numbers."""

    shift: Tensor
    order: Tensor

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up, self.down = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)
        self.register_buffer("shift", torch.zeros(inner))
        self.register_buffer("order", torch.arange(inner).flip(0))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.down(self.up(x)[:, self.order] + self.shift.view(-1, 1, 1))
        return y


class LastShifted(Shifted):
    """Smaller ones have the last channels of larger ones."""

    def windows(self, name: str, shape: tuple[int, ...]) -> Any:
        own = self.get_parameter(name) if name in dict(self.named_parameters()) else self.shift
        return [range(n - m, n) for m, n in zip(own.shape, shape, strict=True)]


def shifts(block: type[nn.Module], path: Path) -> tuple[dict[int, Tensor], tuple[str, ...]]:
    """Shifts by their number once a file was placed, and what was remarked."""
    space = of_images(block, inner=(2, 4))
    state = space.build(smallest_and_largest(space)[1]).state_dict()
    for name, values in state.items():
        if name.endswith("shift"):
            values += torch.arange(1, 5)
    torch.save(state, path)
    network = fresh(space, 0)
    placement = place(space, network, path)
    buffers = [network.persistent_buffers_of(p) for p in space.pieces if p.kind == "block"]
    return {len(b["shift"]): b["shift"] for b in buffers}, placement.remarks


def test_smaller_networks_have_the_first_of_a_files_buffers(tmp_path: Path) -> None:
    found, remarks = shifts(Shifted, tmp_path / "w.pt")
    assert {n: shift.tolist() for n, shift in found.items()} == {2: [1, 2], 4: [1, 2, 3, 4]}
    assert remarks == ()  # the order is that of the space


def test_smaller_networks_have_what_their_windows_say(tmp_path: Path) -> None:
    found, remarks = shifts(LastShifted, tmp_path / "w.pt")
    assert {n: shift.tolist() for n, shift in found.items()} == {2: [3, 4], 4: [1, 2, 3, 4]}
    assert remarks == ()


def test_buffers_that_are_no_parts_stay_and_are_told(tmp_path: Path) -> None:
    space = space_of("stateful")  # whose spectral norms draw vectors
    module = space.build(smallest_and_largest(space)[1])
    torch.save(module.state_dict(), tmp_path / "w.pt")
    (remark,) = place(space, fresh(space, 0), tmp_path / "w.pt").remarks
    assert "4 of theirs begin as they are built (first: conv.parametrizations" in remark
