"""Origins of anchors: what one learns from besides the labels."""

from tailorbird.registry.python_paths import check_named
from tailorbird.spaces.stitching import Family
from tailorbird.training.stitching.settings import Training


def origin_of(family: Family, settings: Training, anchor: int) -> int | None:
    """Number of the anchor that another one learns from; None if labels alone teach it.

    Raises:
        ContractError: if nothing has the name of what anchors learn from.
    """
    origins = {"labels": None, "largest": len(family.anchors) - 1, "meta": 0}
    check_named(settings.anchors_from, origins, "origin of anchors")
    origin = origins[settings.anchors_from]
    has_file = family.anchors[anchor] in settings.anchors
    return None if anchor == origin or has_file else origin


def decided_by(family: Family, settings: Training, anchor: int) -> dict[str, object]:
    """What decides an anchor's weights, those of its origin included.

    Raises:
        WeightsError: if a file of weights cannot be read.
    """
    decides = settings.alone(family.anchors[anchor])
    origin = origin_of(family, settings, anchor)
    if origin is not None:
        other = settings.alone(family.anchors[origin])
        decides["from"] = [settings.anchors_from, other, settings.learning_rates.get("stitch")]
    elif stays(family, settings, anchor):
        decides["stays"] = True
    return decides


def stays(family: Family, settings: Training, anchor: int) -> bool:
    """True if an anchor stays as its file has it, since others learn from anchors.

    One whose head is new learns nevertheless.
    """
    return settings.anchors_from != "labels" and family.anchors[anchor] in settings.anchors
