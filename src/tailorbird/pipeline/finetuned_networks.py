"""Table of a run's finetuned networks, as far as they are of its recipe still."""

from pathlib import Path

import pandas as pd

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.pipeline.accuracy_sources.source import AccuracySource
from tailorbird.reports import finetuned
from tailorbird.reports.checked import COLUMNS
from tailorbird.reports.choice import row_of
from tailorbird.spaces import SearchSpace, encodings


def finetuned_networks(folder: Path, space: SearchSpace, accuracy: AccuracySource) -> pd.DataFrame:
    """Networks of a run's table whose weights are those that its recipe would finetune.

    Args:
        folder: of the run.
        space: of the networks.
        accuracy: of the recipe.
    """
    networks = finetuned.read(folder)
    if networks.empty:
        return networks
    is_current = [
        _is_made(networks.iloc[[i]], folder / finetuned.FILE, space, accuracy)
        for i in range(len(networks))
    ]
    return networks[is_current].reset_index(drop=True)


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
    """Finetuned networks, of which a new one takes the place of its earlier self.

    Args:
        others: a row each.
        network: the new one's row.
    """
    if others.empty:
        return network
    kept = others[others["architecture"] != network["architecture"].iloc[0]]
    return pd.DataFrame([*kept.to_dict("records"), *network.to_dict("records")])
