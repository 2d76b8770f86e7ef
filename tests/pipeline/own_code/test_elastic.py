"""A space as the documentation writes it, from its recipe."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

Tailorbird = Callable[..., tuple[int, str, str]]

PAGE = Path(__file__).parents[3] / "docs" / "own-supernet.md"
RECIPE = """
name = "mine"
[space]
module = "{module}:space"
n_classes = 7
[device]
batch = 2
[latency]
runtime = "own_code:Simulator"
rounds = 2
"""


def write(module: str, text: str) -> None:
    Path(f"{module}.py").write_text(text)
    Path("mine.toml").write_text(RECIPE.format(module=module))


@pytest.fixture
def my_net() -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    (text,) = (block for block in blocks if block.startswith("# my_net.py"))
    return str(text)


@pytest.mark.long
def test_the_modules_of_the_page_are_profiled(tailorbird: Tailorbird, my_net: str) -> None:
    write("my_net", my_net)
    code, _, err = tailorbird("profile", "mine.toml")
    assert code == 0, err
    code, out, _ = tailorbird("table", "show", "mine.toml", "--json")
    rows = {row["workload"]: row for row in json.loads(out)["rows"]}
    assert len(rows) == 12
    keys = {key.partition("#")[0] for key in rows}  # without the digests of modules
    assert "Block(width=16,to=32,stride=2,inner=4)[2x16x16x16]f32" in keys
    assert "Head(width=32,classes=7)[2x32x8x8]f32" in keys


def test_what_does_not_fit_is_told_with_the_line_that_raised(
    tailorbird: Tailorbird, my_net: str
) -> None:
    write("not_my_net", my_net.replace("self.skip(x) +", "x +"))
    code, _, err = tailorbird("profile", "mine.toml")
    assert code == 2
    assert "block 0 of stage 1, Block(width=16,to=32,stride=2,inner=1)[2x16x16x16]f32" in err
    line = my_net.splitlines().index(next(s for s in my_net.splitlines() if "self.skip(x)" in s))
    assert f"See line {line + 1} of" in err
