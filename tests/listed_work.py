"""Work for executors, in a list."""

from collections.abc import Sequence

from tailorbird.search.evaluation.executors import Row


class Listed:
    """Rows in a list, and those that were taken."""

    def __init__(self, rows: Sequence[Row], taken: list[Row]) -> None:
        self._rows, self._taken = list(rows), taken

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, n: int) -> list[Row]:
        rows, self._rows = self._rows[:n], self._rows[n:]
        self._taken.extend(rows)
        return rows
