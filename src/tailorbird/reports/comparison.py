"""Comparison of two latency tables."""

from dataclasses import dataclass

import numpy as np

from tailorbird.latency_tables import LatencyTable
from tailorbird.latency_tables.tables.configuration import tell
from tailorbird.predictors.metrics import kendall_tau


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two tables with programs in common.

    Attributes:
        left: denominator of ratios.
        right: numerator of ratios.
    """

    left: LatencyTable
    right: LatencyTable

    @property
    def ratios(self) -> dict[str, float]:
        """Right over left latency, by key of each program that both hold."""
        return {
            key: self.right.entries[key].median_ms / latency.median_ms
            for key, latency in self.left.entries.items()
            if key in self.right.entries
        }

    @property
    def summary(self) -> dict[str, object]:
        """Figures of the comparison for JSON; null where there are too few programs."""
        ratios = self.ratios
        ms = np.array(
            [(self.left.entries[k].median_ms, self.right.entries[k].median_ms) for k in ratios]
        ).reshape(-1, 2)
        tau = kendall_tau(*ms.T)
        differences = self.left.configuration.differences(self.right.configuration)
        return {
            "left": self.left.device,
            "right": self.right.device,
            "configuration": {name: list(pair) for name, pair in differences.items()},
            "ratios": ratios,
            "geometric_mean": float(np.exp(np.log(list(ratios.values())).mean()))
            if ratios
            else None,
            "kendall_tau": tau if np.isfinite(tau) else None,
            "only_left": [key for key in self.left.entries if key not in self.right.entries],
            "only_right": [key for key in self.right.entries if key not in self.left.entries],
        }

    def __str__(self) -> str:
        summary = self.summary
        lines = [f"{ratio:9.3f}  {key}" for key, ratio in self.ratios.items()]
        for side, other in ((self.left, self.right), (self.right, self.left)):
            name = "right" if other is self.right else "left"
            lines += [
                f"{'-':>9}  {key} (not on the {name})"
                for key in side.entries
                if key not in other.entries
            ]
        differences = self.left.configuration.differences(self.right.configuration)
        lines.append(f"Configurations (left / right): {tell(differences) or 'equal'}")
        if self.ratios:
            tau = summary["kendall_tau"]
            order = "" if tau is None else f", Kendall's tau {tau:.3f}"
            lines.append(
                f"Right over left, geometric mean of {len(self.ratios)}: "
                f"{summary['geometric_mean']:.3f}{order}"
            )
        else:
            lines.append("The tables share no program.")
        return "\n".join(lines)
