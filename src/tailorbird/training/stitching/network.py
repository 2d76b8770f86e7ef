"""All parts of a stitch space in one module, so that routes share weights."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from tailorbird.spaces.stitching import Part, StitchSpace


class StitchedNetwork(nn.Module):
    """Every part of a space once; a forward pass runs the parts of one route."""

    def __init__(self, space: StitchSpace) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {str(part): space.workload(part).build() for part in space.parts}
        )

    def modules_of(self, route: Sequence[Part]) -> list[nn.Module]:
        """The shared modules of a route, in the order in which they run."""
        return [self.parts[str(part)] for part in route]

    def named_layers(self, kind: str) -> Iterator[tuple[str, nn.Module]]:
        """Modules of all parts of one kind, by the name of the part."""
        return ((n, m) for n, m in self.parts.items() if n.partition("-")[0] == kind)

    def forward(self, x: Tensor, route: Sequence[Part]) -> Tensor:
        """Logits (n, classes) of images (n, channels, height, width), along one route."""
        for module in self.modules_of(route):
            x = module(x)
        return x
