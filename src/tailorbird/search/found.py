"""What a search gave, beside what there was to find."""

from dataclasses import dataclass

from tailorbird.predictors import FloatArray
from tailorbird.search.front import ParetoFront


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Two fronts under the same predictors.

    Attributes:
        front: by the search.
        exact: of the whole space; None if it is too large to enumerate.
        ref_point: that hypervolumes refer to, minimised values (m,).
    """

    front: ParetoFront
    exact: ParetoFront | None
    ref_point: FloatArray

    @property
    def exact_hypervolume(self) -> float | None:
        """Of the front of the whole space, if that is known."""
        return self.exact.hypervolume(self.ref_point) if self.exact is not None else None

    @property
    def share_of_exact_hypervolume(self) -> float | None:
        """How much of what there is to find was found."""
        whole = self.exact_hypervolume
        return self.front.hypervolume(self.ref_point) / whole if whole else None

    def __str__(self) -> str:
        text = (
            f"NSGA-II made {self.front.n_evaluations:,} predictions in "
            f"{len(self.front.history)} generations and kept {len(self.front)} networks."
        )
        if self.exact is None:
            return f"{text} The space is too large to enumerate: its exact front is not known."
        return (
            f"{text} The exact front of all {self.exact.n_evaluations:,} networks under the same "
            f"predictors has {len(self.exact)}; NSGA-II found "
            f"{self.share_of_exact_hypervolume or 0:.2%} of its hypervolume."
        )
