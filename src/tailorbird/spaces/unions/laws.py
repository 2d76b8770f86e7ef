"""What spaces must be to have a union."""

from collections.abc import Sequence, Set
from itertools import combinations

from tailorbird.errors import ContractError, shown
from tailorbird.spaces.space import SearchSpace


def label_of(space: SearchSpace) -> str:
    """Name of a space before its settings, as unions tell spaces apart: `digits-resnet`."""
    return space.name.partition("(")[0] or space.name


def prefix_of(space: SearchSpace) -> str:
    """What names of weights of a space begin with in a union; they have no dots."""
    return f"{label_of(space).replace('.', '_')}-"


def check_members(members: Sequence[SearchSpace]) -> None:
    """Refuses spaces whose networks cannot be one space.

    Raises:
        ContractError: if there is one only, or names, images or workloads do not fit.
    """
    if len(members) < 2:
        raise ContractError(f"A union must have two spaces at least, but has {len(members)}.")
    prefixes = [prefix_of(member) for member in members]
    for member, prefix in zip(members, prefixes, strict=True):
        if prefixes.count(prefix) > 1:
            raise ContractError(
                "Spaces of a union must have names of their own before settings, but two are "
                f"{shown(label_of(member))}. Drop one, or run them alone."
            )
    first, *others = members
    for other in others:
        if other.input_shape != first.input_shape:
            raise ContractError(
                "Spaces of a union must take the same images, but networks of "
                f"{first.name} take {first.input_shape}, and those of {other.name} "
                f"{other.input_shape}. Run them alone, or give them the same data and batch size."
            )
        if bool(other.workloads) != bool(first.workloads):
            open_one, known = (first, other) if other.workloads else (other, first)
            raise ContractError(
                "Spaces of a union must all name their workloads, or none, but "
                f"{known.name} names some and {open_one.name} none. Name them, or run them alone."
            )


def check_weights_differ(members: Sequence[SearchSpace], names: Sequence[Set[str]]) -> None:
    """Refuses spaces of which one would have weights of another.

    Args:
        members: of a union.
        names: of the weights of each, as the union has them.

    Raises:
        ContractError: if two have one in common.
    """
    for (one, own), (other, others) in combinations(zip(members, names, strict=True), 2):
        for name in sorted(own & others)[:1]:
            raise ContractError(
                "Spaces of a union must have weights of their own, but "
                f"{shown(name)} would be those of {label_of(one)} and of {label_of(other)}. Give "
                "one of them another name."
            )
