"""All parts of a stitch space in one module, so that routes share weights."""

from collections.abc import Sequence

from torch import Tensor, nn

from tailorbird.spaces.stitching import Part, StitchSpace


class StitchedNetwork(nn.Module):
    """Every part of a space once; a forward pass runs the parts of one route."""

    def __init__(self, space: StitchSpace) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {str(part): space.family.workload(part).build() for part in space.parts}
        )

    def modules_of(self, route: Sequence[Part]) -> list[nn.Module]:
        """The shared modules of a route, in the order in which they run."""
        return [self.parts[str(part)] for part in route]

    def forward(self, x: Tensor, route: Sequence[Part]) -> Tensor:
        """(n, channels, height, width) to logits (n, classes), along one route."""
        for module in self.modules_of(route):
            x = module(x)
        return x
