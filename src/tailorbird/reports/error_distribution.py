"""Distribution of the errors of a space's networks: what tells design spaces apart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tailorbird.notebook import axes, between, counted, label, legend
from tailorbird.spaces import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ErrorDistribution:
    """Empirical distribution function of errors of sampled networks.

    A space is better the more of its networks have small errors, so distributions compare spaces
    where their best networks, of which there are few, cannot.

    Attributes:
        errors: from 0 to 1, (n,), in any order; those that are not known are left out.
        name: of the space.

    Raises:
        ValueError: if none is known, or one is no fraction.

    References:
        Radosavovic, Kosaraju, Girshick, He, Dollár: Designing Network Design Spaces. CVPR 2020,
        equation 1.
        He, Yang, Song, Pu, Hu, Jiang, Zhang, Ding: Network Pruning Spaces. arXiv:2304.09453, 2023.
    """

    errors: FloatArray
    name: str = "random networks"

    def __post_init__(self) -> None:
        errors = np.asarray(self.errors, dtype=np.float64).ravel()
        known = np.sort(errors[~np.isnan(errors)])
        if not len(known) or known[0] < 0 or known[-1] > 1:
            raise ValueError(
                "Errors must be fractions from 0 to 1, one of them known at least, but of "
                f"{counted(len(errors), 'network')} they are {between(known)}. Give 1 - accuracy."
            )
        object.__setattr__(self, "errors", known)

    def __repr__(self) -> str:
        n = counted(len(self.errors), "network")
        return f"ErrorDistribution({n}, errors {between(self.errors)})"

    def __call__(self, error: float) -> float:
        """Fraction of the networks whose errors are at most this one."""
        return float(np.searchsorted(self.errors, error, side="right") / len(self.errors))

    @property
    def fractions(self) -> FloatArray:
        """Fraction of the networks whose errors are at most each of `errors`, (n,)."""
        return np.searchsorted(self.errors, self.errors, side="right") / len(self.errors)

    def to_pandas(self) -> pd.DataFrame:
        """Columns `error` and `fraction`, a row for each network, the best first."""
        return pd.DataFrame({"error": self.errors, "fraction": self.fractions})

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draws the fraction of networks over the error, so that several share axes.

        Args:
            ax: axes to draw on; new ones if None.
        """
        ax = axes(ax)
        x, y = np.append(self.errors[0], self.errors), np.append(0, self.fractions)
        name = f"{self.name}, {counted(len(self.errors), 'network')}"
        ax.step(100 * x, y, where="post", label=label(name))
        ax.set(xlabel="error, %", ylabel="fraction of networks")
        legend(ax)
        return ax
