"""The place of accuracies where there are programs only, of which none is chosen."""

from dataclasses import dataclass
from typing import ClassVar, NoReturn

from tailorbird.errors import RecipeError
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.planned_work import PlannedWork


def opened(asked: OpenedRecipe) -> "NothingToChoose | None":
    """The source of a recipe whose space is a list of programs; None of another one."""
    if asked.recipe.space.programs is None:
        return None
    return NothingToChoose(asked.recipe.space.key)


@dataclass(frozen=True, slots=True)
class NothingToChoose:
    """Refuses whatever is asked of accuracies.

    Attributes:
        named: where the recipe names the programs.
    """

    named: str

    step: ClassVar = "none"
    runs_networks: ClassVar = False

    def remarks(self) -> tuple[str, ...]:
        """Empty."""
        return ()

    def planned(self, n_networks: int) -> tuple[PlannedWork, ...]:
        """Nothing is trained or evaluated."""
        return ()

    def end(self) -> None:
        """Does nothing: nobody takes part in evaluations."""

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise RecipeError(
            f"There is nothing to choose among {self.named}: programs have latencies, which "
            "`tailorbird profile RECIPE` measures and `tailorbird table show RECIPE` shows, but no "
            "accuracies. To search, name a space."
        )

    check = obtain = train = show = evaluations = predictor = validation = test = _refuse
    network = trained_networks = fingerprint = n_validation = n_test = description = _refuse
    finetuner = basis = anchors_alone = _refuse
