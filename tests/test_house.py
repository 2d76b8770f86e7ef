"""The house as it is meant to stand: few files at the top, and imports that point down."""

import tomllib
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tailorbird"
MOST_ARROWS = 70

Arrows = dict[str, set[str]]


@pytest.fixture(scope="module")
def imports() -> Arrows:
    """The modules that each module imports, those for types alone included."""
    graph = grimp.build_graph("tailorbird", cache_dir=None)
    return {one: set(graph.find_modules_directly_imported_by(one)) for one in graph.modules}


@pytest.fixture(scope="module")
def arrows(imports: Arrows) -> Arrows:
    """The rooms that each room imports something of."""
    rooms: Arrows = defaultdict(set)
    for one, others in imports.items():
        for other in others - {"tailorbird"}:
            if one != "tailorbird" and room(one) != room(other):
                rooms[room(one)].add(room(other))
    return rooms


def room(module: str) -> str:
    return module.split(".")[1]


def modules(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py"))


def test_few_modules_lie_loose() -> None:
    assert len(modules(PACKAGE)) <= 5, modules(PACKAGE)
    loose = [name for name in modules(PACKAGE / "latency_tables") if name != "__init__.py"]
    assert len(loose) <= 4, loose


def test_few_arrows_lead_from_room_to_room(arrows: Arrows) -> None:
    n_arrows = sum(map(len, arrows.values()))
    assert n_arrows <= MOST_ARROWS, n_arrows


def test_no_imports_go_round_in_circles(imports: Arrows, arrows: Arrows) -> None:
    for graph in (imports, arrows):
        TopologicalSorter(graph).prepare()  # raises CycleError


def test_no_arrow_leads_up(arrows: Arrows) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one["id"] == "layers")
    depth_of = {room(name): depth for depth, of in enumerate(layers) for name in of.split(" | ")}
    for one, others in arrows.items():
        assert all(depth_of[other] > depth_of.get(one, -1) for other in others), (one, others)
    unnamed = arrows.keys() - depth_of.keys()
    assert unnamed == {"__main__"}
