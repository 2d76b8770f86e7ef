"""What a run does with a table that was not measured here: everything but measuring."""

from tailorbird.errors import MissingStepError, MissingWorkloadError, RecipeError
from tailorbird.latency_tables import LatencyTable, Record
from tailorbird.predictors import TableSum
from tailorbird.spaces import CALL, SearchSpace

_IMPORT = "`tailorbird table import RECIPE FILE`"
_ESTIMATE = "have them predicted with [latency] estimate_missing = true"


def refusal(device: str) -> RecipeError:
    """Why nothing is measured."""
    return RecipeError(
        f"The table of {device!r} was measured elsewhere; nothing is measured for it here. "
        'To measure this machine, write [device] name = "local".'
    )


def nothing_imported(device: str) -> MissingStepError:
    """What to do about an imported table that holds nothing yet."""
    return MissingStepError(f"There is no table of {device!r} yet. Import it with {_IMPORT}.")


def table_sum(space: SearchSpace, record: Record, table: LatencyTable) -> TableSum:
    """The sum over such a table; its rows count however few rounds they have.

    Args:
        space: of the networks.
        record: of the table.
        table: made of it, with predictions for what it lacks if they are wanted.

    Raises:
        RecipeError: if it lacks any workload of the space.
    """
    try:
        return TableSum(space, table)
    except MissingWorkloadError as error:
        raise RecipeError(
            f"{len(error.missing)} of {error.n_needed} workloads of {space.name} are not in the "
            f"table of {record.device!r}, which is of {record.space} (first: {error.missing[0]}). "
            f'Name another table, measure here with [device] name = "local", or {_ESTIMATE}.'
        ) from None


def imported_sum(space: SearchSpace, record: Record, table: LatencyTable) -> TableSum:
    """The sum over what was imported into a recipe's store; arguments as for `table_sum`.

    Raises:
        RecipeError: if it lacks any workload of the space.
    """
    try:
        return TableSum(space, table)
    except MissingWorkloadError as error:
        raise RecipeError(
            f"{len(error.missing)} of {error.n_needed} workloads of {space.name} are not in the "
            f"table of {record.device!r} (first: {error.missing[0]}). Import them with {_IMPORT}, "
            f"or {_ESTIMATE}."
        ) from None


def remarks(space: SearchSpace, record: Record) -> tuple[str, ...]:
    """What a reader of such a run's report must not miss."""
    if record.configuration.is_imported:
        return _of_imported(record)
    found = (
        "No network of this report was timed: latencies are predicted from the table of "
        f"{record.device}, measured on {record.configuration.cpu}.",
    )
    if record.space == space.name:
        return found
    also = f"That table was measured for {record.space}; it holds all that {space.name} needs."
    return (*found, also)


def _of_imported(record: Record) -> tuple[str, ...]:
    entries = record.table(1).entries
    sources = {
        str(session.provenance.get("source", session.provenance.get("file", "a file")))
        for session in record.sessions.values()
    }
    found = [
        "No network of this report was timed: latencies are predicted from a table of "
        f"{record.device} that was imported from {' and '.join(sorted(sources))}."
    ]
    unknown = sum(latency.spread is None for latency in entries.values())
    if unknown:
        found.append(
            f"{unknown} of {len(entries)} rows of that table state no spread, so the uncertainty "
            "of latencies is that of the others only."
        )
    if CALL.key not in entries:
        found.append(
            "That table has no row for the empty program: its rows are added up as they are."
        )
    return tuple(found)
