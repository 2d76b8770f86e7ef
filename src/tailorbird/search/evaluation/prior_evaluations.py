"""Earlier evaluations by anyone: networks with their accuracies, from files and studies."""

from pathlib import Path

from tailorbird.errors import EncodingError, RecipeError
from tailorbird.search.evaluation import prior_file, prior_study
from tailorbird.spaces import FloatArray, IntArray, SearchSpace


def read(path: Path, space: SearchSpace) -> tuple[IntArray, FloatArray]:
    """Reads networks with their measured accuracies from a CSV or Parquet file.

    It has a column for each variable of the space, which holds indices of choices, or a column
    `architecture` with texts; and a column `accuracy`. Others are left alone. Fronts of a search
    are written so as well, but with predicted accuracies: what is read here is taken for measured.

    Args:
        path: of the file; CSV if it ends in `.csv` or `.csv.gz`.
        space: of the networks.

    Returns:
        Canonical rows, each once, (n, d), and accuracies as fractions, (n,).

    Raises:
        EncodingError: if the file cannot be read, does not fit the space, or has two accuracies of
            one network.
    """
    try:
        return prior_file.rows(path, space).within(space)
    except RecipeError as error:
        raise EncodingError(str(error)) from None


def read_table(path: Path, space: SearchSpace) -> tuple[IntArray, FloatArray]:
    """Reads a file as `read` does; rows that encode a network in several ways are averaged.

    Args:
        path: of the file; CSV if it ends in `.csv` or `.csv.gz`.
        space: of the networks.

    Returns:
        Canonical rows, each once, (n, d), and accuracies as fractions, (n,).

    Raises:
        EncodingError: as `read`.
    """
    try:
        return prior_file.rows(path, space).averaged(space)
    except RecipeError as error:
        raise EncodingError(str(error)) from None


def read_study(url: str, name: str, space: SearchSpace) -> tuple[IntArray, FloatArray]:
    """Reads networks of another study with the values of their complete trials.

    The study maximises one value, an accuracy from 0 to 1, and its trials have the indices of their
    choices as the user attribute `encoding`; trials without one are left alone.

    Args:
        url: of its database, for SQLAlchemy.
        name: of the study.
        space: of the networks.

    Returns:
        As `read` does.

    Raises:
        EncodingError: if there is no such study, it does not fit the space, or has two accuracies
            of one network.
    """
    try:
        return prior_study.rows(url, name, space).within(space)
    except RecipeError as error:
        raise EncodingError(str(error)) from None
