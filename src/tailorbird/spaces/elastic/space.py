"""Elastic spaces."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tailorbird.errors import ContractError, shown
from tailorbird.spaces.chains.chain import Chain
from tailorbird.spaces.chains.stage_paths import StagePaths
from tailorbird.spaces.elastic.layer import Layer
from tailorbird.spaces.elastic.layout import ElasticLayout
from tailorbird.spaces.elastic.output_shapes import OutputShapes
from tailorbird.spaces.elastic.routes import n_distinct_routes
from tailorbird.spaces.elastic.stage import Stage
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import nn

    Module = type[nn.Module] | partial[Any]

Shape = tuple[int, ...]


class Elastic(Chain):
    """Space of a user's own: an embedding, stages of blocks, and a head, of plain torch modules.

    Each module is a workload; tables know it by the name of its class, its arguments and a digest
    of what it does, so that a class that is edited is measured anew. Shapes between modules are
    found by running each once on torch's meta device. Imports torch.

    Args:
        name: of the space, other for other networks.
        input_shape: of a whole network, batch first.
        embedding: class of modules, or a `functools.partial` of one with its arguments, or several
            in their order; where the class has a parameter `width`, it is given that of its input.
        stages: of which networks differ.
        head: likewise, behind the last stage.
        names: gives, for the name of a weight in state dicts of others, that in the largest network
            as it is built here; None if there is none.
        width_axis: axis of activations that `width` is the size of; if left out it is 1, as of
            images (n, channels, height, width), and the last of sequences (n, tokens, channels).

    Raises:
        ContractError: if the modules do not fit each other, or nothing can be chosen.
    """

    def __init__(
        self,
        name: str,
        input_shape: Sequence[int],
        embedding: "Module | Sequence[Module]",
        stages: Stage | Sequence[Stage],
        head: "Module | Sequence[Module]",
        *,
        names: Callable[[str], str | None] | None = None,
        width_axis: int | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ContractError(f"`name` of a space must be a text, but is {shown(name)}.")
        if width_axis is not None and width_axis not in (-1, 1, 2, 3, 4):
            raise ContractError(f"`width_axis` must be -1 or 1 to 4, but is {shown(width_axis)}.")
        image = tuple(input_shape)
        modules = _Modules(OutputShapes(), width_axis)
        first, shape = modules.run(embedding, image, "embedding")
        paths = StagePaths(shape, [*_numbered(stages, modules)])
        ends = [modules.run(head, end, "head") for end in paths.ends]
        last = tuple(workloads for workloads, _ in ends)
        _check_variables(paths)
        _check_outputs(name, {shape for _, shape in ends})
        super().__init__(ElasticLayout(name, image, first, paths, last), names)
        n_routes = n_distinct_routes(self.layout)
        if n_routes < self.size:
            raise ContractError(
                f"Each network must have one encoding, but {self.size:,} encodings of {name!r} "
                f"are {n_routes:,} networks, since neighbouring stages hold the same blocks. Make "
                "one stage of them, or let the depth of one alone vary."
            )


@dataclass(frozen=True, slots=True)
class _Modules:
    """Users' modules, each run once for its shape."""

    outputs: OutputShapes
    width_axis: int | None

    def run(self, modules: Any, shape: Shape, place: str) -> tuple[tuple[Workload, ...], Shape]:
        """Workloads of modules one after the other, and the shape behind the last."""
        workloads = []
        listed = modules if isinstance(modules, Sequence) else (modules,)
        for i, layer in enumerate(map(Layer, listed)):
            given = layer.own({"width": self.width(shape)})
            plain = layer.workload(shape, {**given, **layer.arguments})
            workload, shape = self.outputs.of(plain, f"layer {i} of the {place}")
            workloads.append(workload)
        return tuple(workloads), shape

    def width(self, shape: Shape) -> int:
        """Width of activations of some shape."""
        usual = -1 if len(shape) == 3 else 1
        axis = usual if self.width_axis is None else self.width_axis
        return shape[min(axis, len(shape) - 1)]  # the last, where images have become vectors


@dataclass(frozen=True, slots=True)
class _NumberedStage:
    """A stage in its place."""

    stage: Stage
    number: int
    modules: _Modules

    @property
    def depths(self) -> tuple[int, ...]:
        return self.stage.depths

    @property
    def shared(self) -> dict[str, tuple[Any, ...]]:
        return self.stage.shared

    @property
    def options(self) -> dict[str, tuple[Any, ...]]:
        return self.stage.options

    def uses(self, name: str, values: tuple[Any, ...]) -> bool:
        return self.stage.uses(name, values)

    def block(self, shape: Shape, slot: int, values: tuple[Any, ...]) -> tuple[Workload, Shape]:
        workload = self.stage.workload(shape, self.modules.width(shape), slot, values)
        return self.modules.outputs.of(workload, f"block {slot} of stage {self.number}")


def _numbered(stages: Stage | Sequence[Stage], modules: _Modules) -> Iterator[_NumberedStage]:
    for number, stage in enumerate(stages if isinstance(stages, Sequence) else (stages,)):
        if not isinstance(stage, Stage):
            raise ContractError(
                "The stages of an elastic space must be a list of `tailorbird.spaces.Stage`, but "
                f"number {number} is {shown(stage)}."
            )
        yield _NumberedStage(stage, number, modules)


def _check_variables(paths: StagePaths) -> None:
    names = [variable.name for variable in paths.variables]
    if not names:
        raise ContractError(
            "An elastic space must leave something to choose, but no depth and no argument of its "
            "stages is a tuple of several values. Make one of them a tuple."
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ContractError(
            f"Variables must have names of their own, but two are {twice!r}: arguments whose names "
            "end in digits can meet those of other stages. Rename one."
        )


def _check_outputs(name: str, shapes: set[Shape]) -> None:
    if len(shapes) > 1:
        raise ContractError(
            f"All networks of {name!r} must give one shape, but some give "
            f"{' and others '.join(map(str, sorted(shapes)[:2]))}. Have the head take the mean "
            "over what varies."
        )
