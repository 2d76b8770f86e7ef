"""A recipe is checked, and what is before it is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_recipe import small

Tailorbird = Callable[..., tuple[int, str, str]]

pytestmark = [
    pytest.mark.usefixtures("locks_of_its_own"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def plan(tailorbird: Tailorbird) -> dict[str, dict[str, object]]:
    code, out, err = tailorbird("check", "r.toml", "--json")
    assert code == 0, err
    told = json.loads(out)
    known = [work["seconds"] for work in told["plan"] if work["seconds"] is not None]
    assert told["seconds"] == pytest.approx(sum(known))
    return {work["kind"]: work for work in told["plan"]}


@pytest.mark.long
def test_a_table_of_others_leaves_training(tailorbird: Tailorbird) -> None:
    Path("r.toml").write_text(small("r", device="epyc-avx512").replace("batch = 4", "batch = 16"))
    before = plan(tailorbird)
    assert before["measure"]["what"] == "nothing: latencies are from the table of epyc-avx512"
    assert before["measure"]["seconds"] == 0
    assert "all routes" in str(before["train"]["what"])
    assert float(str(before["train"]["seconds"])) > 0
    assert before["search"]["seconds"] is None
    assert not Path("runs/r/weights").exists()  # nothing was trained
    assert tailorbird("train", "r.toml")[0] == 0
    assert plan(tailorbird)["train"] == {
        "kind": "train",
        "what": "nothing: weights are there",
        "seconds": 0,
    }


@pytest.mark.long
@pytest.mark.tvm
def test_what_is_measured_is_counted_and_none_of_it_is_kept(tailorbird: Tailorbird) -> None:
    Path("mine.py").write_text(
        "from torch import nn\ndef programs():\n"
        "    return {f'to {n}': (nn.Linear(4, n), (1, 4)) for n in (1, 2)}\n"
    )
    Path("r.toml").write_text('name = "r"\n[space]\nprograms = "mine:programs"\n')
    (before,) = plan(tailorbird).values()
    assert str(before["what"]).startswith("3 of 3 programs")
    assert float(str(before["seconds"])) > 0
    assert not Path("runs/r/store.sqlite").exists()
    assert tailorbird("profile", "r.toml")[0] == 0
    (after,) = plan(tailorbird).values()
    assert str(after["what"]).startswith("0 of 3 programs")
    assert after["seconds"] == 0


def test_stitches_that_are_not_chosen_yet_are_planned_in_any_places(
    tailorbird: Tailorbird,
) -> None:
    text = small("r", device="epyc-avx512").replace("batch = 4", "batch = 16")
    Path("r.toml").write_text(text.replace("max_stitches = 1", 'max_stitches = 1\nchoose = "klas"'))
    assert "all routes" in str(plan(tailorbird)["train"]["what"])
    assert not Path("runs/r/weights").exists()


@pytest.mark.long
@pytest.mark.tvm
def test_a_module_that_cannot_be_measured_is_told(tailorbird: Tailorbird) -> None:
    Path("mine.py").write_text(
        "import torch\nfrom torch import nn\nclass Bad(nn.Module):\n"
        "    def forward(self, x):\n        return torch.linalg.det(x)\n"
        "def programs():\n"
        "    return {'good': (nn.Linear(4, 4), (1, 4)), 'bad': (Bad(), (1, 4, 4))}\n"
    )
    Path("r.toml").write_text('name = "r"\n[space]\nprograms = "mine:programs"\n')
    code, out, err = tailorbird("check", "r.toml")
    assert code == 1
    assert "of 3 that were tried 1 cannot be measured (first: bad(" in err
    assert "Nothing is wrong" not in out


@pytest.mark.parametrize(
    ("old", "new", "law"),
    [
        ("[search]", "[finds]", "finds"),
        ('name = "digits-resnet"', 'name = "digits-resnets"', "did you mean 'digits-resnet'"),
    ],
)
def test_a_wrong_recipe_is_refused(old: str, new: str, law: str, tailorbird: Tailorbird) -> None:
    text = small("r")
    assert old in text
    Path("r.toml").write_text(text.replace(old, new))
    code, out, err = tailorbird("check", "r.toml")
    assert code == 2
    assert law in err
    assert not out
