"""Keys of [accuracy] that one space of a union is trained by."""

from collections.abc import Mapping, Sequence, Set

from tailorbird.recipe import AccuracySection
from tailorbird.recipe.accuracy import (
    STITCHED_KEYS,
    SUPERNET_KEYS,
    TOGETHER_KEYS,
    LearningRates,
    SharedLearningRates,
)
from tailorbird.recipe.section import Section
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.registry.training_rules import entry_of
from tailorbird.spaces import SearchSpace
from tailorbird.spaces.shared import HasPieces
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training.supernet.settings import RULE

_RATES: Mapping[str, type[Section]] = {
    "learning_rates": LearningRates,
    "shared_learning_rates": SharedLearningRates,
}


def keys_of(
    asked: AccuracySection, space: SearchSpace, others: Sequence[SearchSpace]
) -> AccuracySection:
    """What a space takes of keys that are for spaces of other kinds as well.

    Between stitched and elastic spaces each takes the keys of its own kind, and the values that
    mean something there; what is left out was for the others. Keys that no space takes are left
    in, so that they are refused as they are for that space alone.

    Args:
        asked: keys of the whole union.
        space: one of its spaces.
        others: the others; none of all of these is a union.
    """
    stitched = [other for other in others if isinstance(other, StitchSpace)]
    if isinstance(space, StitchSpace):
        dropped = set[str]()
        if len(stitched) < len(others):
            dropped |= SUPERNET_KEYS - STITCHED_KEYS
            if not asked.stitch_epochs:  # a supernet beside it has them
                dropped |= TOGETHER_KEYS - {"share_of_anchors"}
        if not space.stitches and any(other.stitches for other in stitched):
            dropped.add("share_of_anchors")
        if not _has_learners(asked, space) and any(_has_learners(asked, o) for o in stitched):
            dropped.add("anchors_from")
        key = "shared_learning_rates"
        rates = {key: _of_kinds(asked, key, _kinds(space))} if key in asked.model_fields_set else {}
        asked = _without(asked, dropped, **rates) if others else asked
        return _with_anchors_of(asked, space, stitched)
    return _of_supernet(asked, space) if stitched else asked


def _has_learners(asked: AccuracySection, space: StitchSpace) -> bool:
    """True if there are anchors but the largest that no file of weights is for."""
    *smaller, _ = space.family.anchors
    return bool({*smaller} - ({*asked.anchors} if isinstance(asked.anchors, dict) else {*smaller}))


def _with_anchors_of(
    asked: AccuracySection, space: StitchSpace, others: Sequence[StitchSpace]
) -> AccuracySection:
    """The keys without anchors that other families have, and this one has not."""
    if not isinstance(asked.anchors, dict):
        return asked
    elsewhere = {name for other in others for name in other.family.anchors}
    dropped = (elsewhere - {*space.family.anchors}) & {*asked.anchors}
    if not dropped:
        return asked
    anchors = {name: file for name, file in asked.anchors.items() if name not in dropped}
    return _without(asked, frozenset(), anchors=anchors)


def _of_supernet(asked: AccuracySection, space: SearchSpace) -> AccuracySection:
    """The keys of a supernet beside stitched spaces."""
    dropped = set(STITCHED_KEYS - SUPERNET_KEYS)
    rule = entry_of(asked.rule or RULE)
    if asked.routes is not None and (ROUTE_DRAWS[asked.routes].of_stitches or not rule.draws):
        dropped.add("routes")
    if asked.distillation != "none" and not (asked.teacher or rule.distils):
        dropped.add("distillation")
    if not rule.is_single:
        dropped.add("routes_per_step")
    rates = _RATES.keys() & asked.model_fields_set
    if not rates or not isinstance(space, HasPieces):
        return _without(asked, dropped)
    kinds = _kinds(space)
    return _without(asked, dropped, **{key: _of_kinds(asked, key, kinds) for key in rates})


def _kinds(space: HasPieces) -> set[str]:
    return {piece.kind for piece in space.pieces}


def _of_kinds(asked: AccuracySection, key: str, kinds: Set[str]) -> Section:
    """Learning rates of these kinds of pieces alone."""
    rates = getattr(asked, key)
    return _RATES[key](**{kind: getattr(rates, kind) for kind in rates.model_fields_set & kinds})


def _without(
    asked: AccuracySection, dropped: set[str] | frozenset[str], **changed: object
) -> AccuracySection:
    """The section as if some keys had been left out, and others had other values."""
    kept = asked.model_fields_set - dropped
    values = {key: getattr(asked, key) for key in kept} | changed
    return AccuracySection.model_construct(kept, **values)
