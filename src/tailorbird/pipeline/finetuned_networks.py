"""Table of a run's finetuned networks, as far as they are of its recipe still."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.pipeline.accuracy_sources.source import AccuracySource
from tailorbird.pipeline.run_folder import LOG
from tailorbird.reports import finetuned
from tailorbird.reports.checked import COLUMNS
from tailorbird.reports.choice import row_of
from tailorbird.spaces import SearchSpace, encodings


def finetuned_networks(
    folder: Path,
    space: SearchSpace,
    accuracy: AccuracySource,
    basis: Mapping[str, str],
    besides: object = None,
) -> pd.DataFrame:
    """Networks of a run's table whose weights and figures are those that its recipe would have.

    A warning names those whose figures alone are others.

    Args:
        folder: of the run.
        space: of the networks.
        accuracy: of the recipe.
        basis: of the figures of its report, see `basis_of`.
        besides: text of a network that is left out.
    """
    networks = finetuned.read(folder)
    if "architecture" not in networks:
        return pd.DataFrame()
    networks = networks[networks["architecture"] != besides]
    is_made = [
        _is_made(networks.iloc[[i]], folder / finetuned.FILE, space, accuracy)
        for i in range(len(networks))
    ]
    networks = networks[np.array(is_made, dtype=bool)]
    of = networks.reindex(columns=[*basis])
    is_comparable = (of == pd.Series(basis)).all(axis="columns")
    if not is_comparable.all():
        others = networks["architecture"][~is_comparable]
        LOG.warning(
            "%d finetuned networks (first: %s) were evaluated or timed otherwise than by this "
            "recipe, and are left out: `tailorbird finetune RECIPE` with the text of one as "
            "`--architecture` checks it again.",
            len(others),
            others.iloc[0],
        )
    return networks[is_comparable].reset_index(drop=True)


def _is_made(
    network: pd.DataFrame, file: Path, space: SearchSpace, accuracy: AccuracySource
) -> bool:
    if not {*encodings.column_names(space, COLUMNS)} <= {*network.columns}:
        return False  # of another space; to look for its text would take minutes
    try:
        return accuracy.finetuner().is_made(row_of(network, space, file))
    except (KeyError, MissingStepError, RecipeError):  # of another space, or torn
        return False


def beside(others: pd.DataFrame, network: pd.DataFrame) -> pd.DataFrame:
    """Finetuned networks, and a new one after them.

    Args:
        others: a row each.
        network: the new one's row.
    """
    return pd.DataFrame([*others.to_dict("records"), *network.to_dict("records")])
