"""Data that fit a space: images of the shape that it takes, and as many classes as it gives."""

import torch

from tailorbird.errors import ContractError
from tailorbird.spaces import SearchSpace
from tailorbird.spaces.footprint import built_on_meta
from tailorbird.training.data.dataset import SPLITS, Dataset


def check_images_fit(space: SearchSpace, dataset: Dataset) -> None:
    """Refuses images of another shape than a space takes.

    Raises:
        ContractError: if so.
    """
    wanted = space.input_shape[1:]
    for split in SPLITS:
        shape = tuple(getattr(dataset, split).shape)
        if shape != wanted:
            raise ContractError(
                f"There is no training for {space.name} on the data {dataset.name!r}: "
                f"images of its {split} split have shape {shape}, and the space takes {wanted}. "
                "Its latencies can be had with `tailorbird profile RECIPE`."
            )


def check_classes_fit(name: str, n_classes: int, dataset: Dataset) -> None:
    """Refuses data of another number of classes.

    Args:
        name: of what has the classes.
        n_classes: that its networks tell apart.
        dataset: whose classes they are.

    Raises:
        ContractError: if so.
    """
    if dataset.n_classes != n_classes:
        raise ContractError(
            f"Data and space must have as many classes, but {dataset.name!r} has n_classes = "
            f"{dataset.n_classes}, and {name} has n_classes = {n_classes}. Give the space "
            f"n_classes = {dataset.n_classes}, or name other data."
        )


def n_classes_of(space: SearchSpace) -> int:
    """Number of classes that the networks of a space tell apart.

    Raises:
        ContractError: if they give no logits (n, classes).
    """
    row = space.landmarks[0]
    network = built_on_meta(lambda: space.build(row))
    with torch.device("meta"), torch.no_grad():
        shape = tuple(network(torch.empty(space.input_shape)).shape)
    if len(shape) != 2 or shape[0] != space.input_shape[0]:
        raise ContractError(
            f"Networks that are trained must give logits, {space.input_shape[0]} x classes, but "
            f"those of {space.name} give shape {shape}."
        )
    return int(shape[1])
