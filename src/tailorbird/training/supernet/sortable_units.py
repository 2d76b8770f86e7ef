"""Units of a space's largest network that can be sorted, so that smaller ones have the first."""

from collections.abc import Sequence
from dataclasses import replace

from tailorbird.errors import ContractError
from tailorbird.spaces import Piece, SharedSpace
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.supernet.nesting import AxisNestings
from tailorbird.training.supernet.tied_axes import Axis, TiedAxes, tied_axes
from tailorbird.training.supernet.units import Units, UnitsTrial


def units_of(space: SharedSpace) -> list[Units]:
    """Units of the largest network that smaller ones have fewer of.

    Which ones there are is tried: modules with random weights must compute the same when units
    change places. Channels are as many units as there are; heads are found as the largest number of
    equal parts along all of their axes. The first units are those of the smallest network.

    Args:
        space: of the networks.

    Raises:
        ContractError: if an axis has no order that could be changed, such as the channels that
            come into a grouped convolution, or smaller networks are no parts of larger ones there.
    """
    route = space.route(smallest_and_largest(space)[1])
    nestings, found = AxisNestings(space, route), dict[Axis, Units]()
    for ties in tied_axes(space):
        left = tuple(axis for axis in ties.axes if axis not in found)
        tried = _tried(space, route, replace(ties, axes=left), nestings) if left else []
        for units in tried:
            found |= dict.fromkeys(units.parts, units)
    return [*dict.fromkeys(found.values())]


def _tried(
    space: SharedSpace, route: Sequence[Piece], ties: TiedAxes, nestings: AxisNestings
) -> list[Units]:
    of_axis = {axis: nestings.of(axis) for axis in ties.axes}
    for axis, known in of_axis.items():
        if not known:
            why = ", since smaller networks have indices there that larger ones lack"
            raise _unsorted(space, ties, axis, why)
    trial = UnitsTrial(route, of_axis)
    of_size: dict[int, list[Axis]] = {}
    for axis in ties.axes:
        of_size.setdefault(axis.size, []).append(axis)
    apart = {size: trial.units(axes, ties.guessed) for size, axes in of_size.items()}
    if None not in apart.values():
        return [units for some in apart.values() for units in some or ()]
    together = trial.units(ties.axes, ties.guessed)
    if together is None:
        axis = next(axis for axis in ties.axes if apart[axis.size] is None)
        raise _unsorted(space, ties, axis)
    return together


def _unsorted(space: SharedSpace, ties: TiedAxes, axis: Axis, why: str = "") -> ContractError:
    return ContractError(
        "What smaller networks leave out must be the last of what could stand in any order, but of "
        f"{space.name}, axis {axis.axis} of {axis.tensor!r} of {axis.weights}, which "
        f'{ties.variable} changes, cannot be sorted{why}. Take importance = "none".'
    )
