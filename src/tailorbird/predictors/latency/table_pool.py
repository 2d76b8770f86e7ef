"""Latencies of known devices as sums over their tables."""

from collections.abc import Sequence

import numpy as np

from tailorbird.latency_tables import LatencyTable
from tailorbird.predictors.latency.device_mixture import Line
from tailorbird.predictors.latency.device_pool import LEAST_SPREAD, sizes
from tailorbird.predictors.latency.made_up_devices import made_up_tables
from tailorbird.predictors.latency.table_sum import TableSum
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

_SMALLEST = 1e-9  # spread of latencies, over their mean, that is more than rounding


class TablePool:
    """Common ground of devices whose latency is known for each workload, and of made-up ones.

    The latter come last, see `made_up_tables`, as far as networks differ by them. Features are what
    each workload takes on a usual device. So a new device may take longer for a workload than is
    expected by a fraction of that, whether it is large or small.

    Args:
        space: of the architectures.
        tables: of the devices, each with all workloads of the space.
        encodings: canonical rows that are usual, (n, d).

    Raises:
        MissingWorkloadError: if a table lacks a workload.
    """

    def __init__(
        self, space: SearchSpace, tables: Sequence[LatencyTable], encodings: IntArray
    ) -> None:
        self.space = space
        real = [TableSum(space, table) for table in tables]
        self.pool_ms = _ms(real, encodings)
        relative_std = self.pool_ms.std(axis=0) / self.pool_ms.mean(axis=0)
        if (relative_std <= _SMALLEST).any():
            flat = tables[int(np.argmin(relative_std))].device
            raise ValueError(
                f"Tables must tell architectures apart, but of {space.name} all take as long on "
                f"{flat!r}. Leave it out."
            )
        made_up = [TableSum(space, table) for table in made_up_tables(space, tables[0])]
        of_each = _ms(made_up, encodings)
        differs = of_each.std(axis=0) > LEAST_SPREAD * of_each.mean(axis=0)
        self._sums = [*real, *(one for one, some in zip(made_up, differs, strict=True) if some)]
        ms = np.hstack([self.pool_ms, of_each[:, differs]])
        self._mean_ms, self._std_ms = ms.mean(axis=0), ms.std(axis=0)
        self.relative_std = relative_std
        self.relative_noise = np.zeros(len(real))
        fractions = [
            (one.added_ms + one.call_ms) / mean_ms  # as measured, so that none is 0
            for one, mean_ms in zip(real, self._mean_ms[: len(real)], strict=True)
        ]
        self._fraction = np.mean(fractions, axis=0)
        usual = self._uses(encodings)
        self._center = usual.mean(axis=0)
        self._spread = np.sqrt(np.square(usual - self._center).sum(axis=1).mean())

    def functions(self, X: IntArray) -> FloatArray:
        """Latency of each device, and then of each made-up one, (n, k + q).

        They have mean 0 and std 1 over usual architectures.
        """
        return np.asarray((_ms(self._sums, X) - self._mean_ms) / self._std_ms)

    def features(self, X: IntArray) -> FloatArray:
        """What each workload takes, (n, n_workloads), centred, with mean square 1."""
        return np.asarray((self._uses(X) - self._center) / self._spread)

    def sizes(self, X: IntArray) -> FloatArray:
        """Latencies on a usual device, over their mean, (n,)."""
        n_real = self.pool_ms.shape[1]
        return sizes(_ms(self._sums[:n_real], X) / self._mean_ms[:n_real])

    def sum_of(self, line: Line) -> tuple[FloatArray, float]:
        """A linear function of functions and features as one of counts.

        Returns:
            What each workload adds, (n_workloads,), and the rest.
        """
        added = np.column_stack([one.added_ms for one in self._sums]) / self._std_ms
        call = (np.array([one.call_ms for one in self._sums]) - self._mean_ms) / self._std_ms
        rest = call @ line.of_functions - self._center / self._spread @ line.of_features
        return (
            added @ line.of_functions + self._fraction / self._spread * line.of_features,
            float(line.offset + rest),
        )

    def _uses(self, X: IntArray) -> FloatArray:
        return np.asarray(self.space.count_workloads(X).multiply(self._fraction).toarray())


def _ms(sums: Sequence[TableSum], X: IntArray) -> FloatArray:
    """Latencies (n, k) of canonical rows (n, d) by each sum."""
    return np.column_stack([one.mean(X) for one in sums])
