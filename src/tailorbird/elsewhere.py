"""What a run does with the latency table of another device: everything but measuring."""

from tailorbird.errors import MissingWorkloadError, RecipeError
from tailorbird.latency_tables import Record
from tailorbird.predictors import TableSum
from tailorbird.spaces import SearchSpace


def refusal(record: Record) -> RecipeError:
    """Why nothing is measured."""
    return RecipeError(
        f"The table of {record.device!r} was measured elsewhere; nothing is measured for it here. "
        'To measure this machine, write [device] name = "local".'
    )


def table_sum(space: SearchSpace, record: Record) -> TableSum:
    """The sum over such a table; its rows count however few rounds they have.

    Raises:
        RecipeError: if it lacks any workload of the space.
    """
    try:
        return TableSum(space, record.table(1))
    except MissingWorkloadError as error:
        raise RecipeError(
            f"{len(error.missing)} of {error.n_needed} workloads of {space.name} are not in the "
            f"table of {record.device!r}, which is of {record.space} (first: {error.missing[0]}). "
            'Name another table, or measure here with [device] name = "local".'
        ) from None


def remarks(space: SearchSpace, record: Record) -> tuple[str, ...]:
    """What a reader of such a run's report must not miss."""
    found = (
        "No network of this report was timed: latencies are predicted from the table of "
        f"{record.device}, measured on {record.configuration.cpu}.",
    )
    if record.space == space.name:
        return found
    also = f"That table was measured for {record.space}; it holds all that {space.name} needs."
    return (*found, also)
