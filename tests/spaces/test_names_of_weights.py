"""What families call their weights, and their names with other classes than they were published."""

import pytest

from tailorbird import spaces
from tailorbird.errors import MissingWorkloadError, RecipeError
from tailorbird.latency_tables import shipped
from tailorbird.predictors import TableSum
from tailorbird.spaces.stitching import StitchSpace

PUBLISHED = {
    "cifar-resnet": 10,
    "deit-ti-s-b": 1000,
    "deit3-s-l": 1000,
    "digits-resnet": 10,
    "efficientnet-lite-0-1-2": 1000,
    "resnet-18-50": 1000,
    "swin-ti-s-b": 1000,
}


def stitched(name: str, **settings: object) -> StitchSpace:
    space = spaces.get(name, **settings)
    assert isinstance(space, StitchSpace)
    return space


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "digits-resnet"])
def test_the_name_of_a_weight_leads_back_to_its_place(name: str) -> None:
    family = stitched(name, max_stitches=0).family
    names = set()
    for part in (p for p in stitched(name, max_stitches=0).parts if p.anchor == 0):
        for inner in family.workload(part).build().state_dict():
            names.add(named := family.name_of(part, inner))  # type: ignore[attr-defined]
            assert family.place(0, named) == (part, inner)  # type: ignore[attr-defined]
    assert len(names) > 100


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_family_has_heads_for_other_classes(name: str) -> None:
    default, asked, three = (
        stitched(name, **s) for s in ({}, {"n_classes": PUBLISHED[name]}, {"n_classes": 3})
    )
    assert asked.name == default.name
    assert asked.family == default.family
    assert asked.family.name == name
    assert three.name != default.name  # by which whole networks, studies and exports are known
    assert three.family.name == f"{name}-3-classes"  # by which trained anchors are known
    assert three.family.n_classes == 3
    assert three.size == default.size
    others = {w.key for w in three.workloads} - {w.key for w in default.workloads}
    assert 1 <= len(others) <= len(default.family.anchors)  # anchors may share a width
    assert all("classes=3" in key for key in others)
    for part in three.parts:
        if part.kind == "head":
            logits = three.workload(part).build().state_dict()
            assert any(len(tensor) == 3 for tensor in logits.values() if tensor.dim())


@pytest.mark.parametrize("n_classes", [1, 0, -3, 100_001, 10**30, 3.0, "3", True])
def test_what_is_no_number_of_classes_is_refused(n_classes: object) -> None:
    with pytest.raises(RecipeError, match="'n_classes' of space 'deit-ti-s-b'"):
        spaces.get("deit-ti-s-b", n_classes=n_classes)


def test_shipped_tables_lack_heads_of_other_classes_only() -> None:
    asked = {"runtime": "tvm"}
    table = shipped.find("epyc-avx512", "deit-ti-s-b", asked).table(rounds=2)
    assert TableSum(stitched("deit-ti-s-b", n_classes=1000), table)
    with pytest.raises(MissingWorkloadError) as caught:
        TableSum(stitched("deit-ti-s-b", n_classes=3), table)
    assert len(caught.value.missing) == 3
    assert all(key.startswith("vit_head(") for key in caught.value.missing)
