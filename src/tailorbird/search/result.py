"""The front that a search found, beside the exact one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tailorbird.errors import plain
from tailorbird.search.front import ParetoFront
from tailorbird.spaces import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """Two fronts under the same predictors.

    Attributes:
        front: by the search.
        exact: of the whole space; None if it is not known.
        ref_point: that hypervolumes refer to, minimised values (m,).
        by: the algorithm, as recipes name it.
        step: what an item of `front.history` stands for: a generation or an evaluation.
        is_evaluated: true if networks were truly evaluated, false if they were predicted.
    """

    front: ParetoFront
    exact: ParetoFront | None
    ref_point: FloatArray
    by: str = "nsga2"
    step: str = "generation"
    is_evaluated: bool = False

    @property
    def exact_hypervolume(self) -> float | None:
        """Hypervolume of the front of the whole space, if that is known."""
        return self.exact.hypervolume(self.ref_point) if self.exact is not None else None

    @property
    def share_of_exact_hypervolume(self) -> float | None:
        """Fraction of the exact front's hypervolume that was found; None if that is not known."""
        whole = self.exact_hypervolume
        return self.front.hypervolume(self.ref_point) / whole if whole else None

    def __repr__(self) -> str:
        return plain(f"SearchResult({self.by}, {self.front!r})")

    def _repr_html_(self) -> str:
        return self.front._repr_html_()

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draws the front that was found, over the exact one if that is known.

        Args:
            ax: axes to draw on; new ones if None.

        Raises:
            ValueError: unless there are two objectives.
        """
        if self.exact is not None and self.exact is not self.front:
            ax = self.exact.plot(ax)
        return self.front.plot(ax)

    def __str__(self) -> str:
        front = self.front
        if front.exact:
            return (
                f"Of all {front.n_evaluations:,} networks, {len(front)} are kept; that no other "
                f"belongs to them is certain ({self.by})."
            )
        how = "evaluated" if self.is_evaluated else "compared predictions of"
        text = f"{self.by} {how} {front.n_evaluations:,} networks and kept {len(front)}."
        if front.gap:
            gaps = " and ".join(
                f"{gap:.3g} in {objective.column}"
                for gap, objective in zip(front.gap, front.objectives, strict=True)
            )
            return f"{text} No network of the space is better by more than {gaps}."
        if self.exact is None:
            return f"{text} The exact front is not known."
        return (
            f"{text} The exact front under the same predictors has {len(self.exact)} networks; "
            f"{self.share_of_exact_hypervolume or 0:.2%} of its hypervolume was found."
        )
