"""The sentence in which a search space is refused."""

from tailorbird.errors import ContractError, plain


def law(
    holds: object, member: str, needed: str, value: object, contract: str = "SearchSpace"
) -> None:
    """Refuses a member of a space that does not do what it must.

    Args:
        holds: whether it does.
        member: its name, perhaps with its arguments.
        needed: what it must be.
        value: what it is, or gave.
        contract: protocol that has it, in `tailorbird.spaces`.

    Raises:
        ContractError: if it does not.
    """
    if not holds:
        text = " ".join((value if isinstance(value, str) else repr(value)).split())
        raise ContractError(
            f"The `{member}` of a search space must be {needed}, but gave {plain(text)}. See "
            f"tailorbird.spaces.{contract} for all members."
        )
