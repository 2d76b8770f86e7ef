"""Settings that recipes give to a search under predictors."""

from dataclasses import dataclass

from tailorbird.spaces import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SearchSettings:
    """Budget and chance of a search.

    Attributes:
        population: networks in a generation.
        generations: how many, the first included.
        sampler: name of a sampler of Optuna's.
        seed: the same seed gives the same front.
        ref_point: that the history of hypervolume refers to, minimised values (m,); None to leave
            the history out.
    """

    population: int = 100
    generations: int = 100
    sampler: str = "TPESampler"
    seed: int = 0
    ref_point: FloatArray | None = None

    @property
    def n_evaluations(self) -> int:
        """Networks to look at, for what knows no generations: as many as these would hold."""
        return self.population * self.generations
