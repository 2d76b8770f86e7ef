"""Published accuracies whose table is torn, wrong, or another one."""

import csv
import gzip
import io
import json
import math
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fuzz import published, special
from fuzz.case import Case, Ran
from fuzz.cells import Sheet, changed, odd_gzip
from fuzz.damage import damaged

RECIPE = f"""
name = "published"
[space]
name = "{published.SPACE}"
[device]
name = "epyc-avx512"
[accuracy]
published = "snnet"
predictor = "ridge"
[search]
algorithm = "exact"
"""
_COMMANDS = (("search", "r.toml", "--json"),)
_NUMBERS = ("cfg_id", "front", "back", "flops", "score")
_TEXTS = ("source", "task", "path", "stitches")
_WHOLE = ("cfg_id", "front", "back")
_OURS = ("snnet_deit_ti_s_b", "imagenet_top1")
_NEAR = 1e-9
_LARGEST = 64 * 2**20


class Publications:
    """The table of stitched networks, of which only those of one space are made up."""

    def __init__(self, folder: Path) -> None:
        rows = [*published.rows()]
        cells = (tuple("" if v is None else str(v) for v in row.values()) for row in rows)
        self._sheet = Sheet(tuple(rows[0]), tuple(cells))

    def original(self, number: int, folder: Path) -> Case:
        return self._case(gzip.compress(self._sheet.text().encode(), mtime=0), "nothing", folder)

    def case(self, rng: random.Random, folder: Path) -> Case:
        draw = rng.random()
        if draw < 0.05:
            case = self._case(b"", "", folder)
            path = folder / "data" / published.FILE
            path.unlink()
            change = f"{special.put(rng, path)} in its place"
            return Case(change, _COMMANDS, lambda ran: None, False, case.environment)
        if draw < 0.2:
            return self._case(*odd_gzip(rng, self._sheet.text()), folder)
        if draw < 0.35:
            content, change = damaged(rng, self._sheet.text().encode())
        else:
            text, change, _ = changed(rng, self._sheet)
            content = text.encode("utf-8", "replace")
        return self._case(gzip.compress(content, mtime=0), change, folder)

    def _case(self, content: bytes, change: str, folder: Path) -> Case:
        data = folder / "data"
        data.mkdir()
        (data / published.FILE).write_bytes(content)
        (folder / "r.toml").write_text(RECIPE)

        def reason(ran: Sequence[Ran]) -> str | None:
            ours = [row for row in _read_anew(content) if (row["source"], row["task"]) == _OURS]
            scores = [float(row["score"]) / 100 for row in ours]
            shown = [row["accuracy"] for row in json.loads(ran[0].out)]
            others = sum(all(abs(one - score) > _NEAR for score in scores) for one in shown)
            kept = [row for row in ours if tuple(row.values()) in self._sheet.rows]
            n_predicted = len(self._sheet.rows) - len(kept)  # also where MACs do not agree
            assert others <= n_predicted, f"{others} accuracies that are found are others"
            return "rows are what they may be, and accuracies that are found are among them"

        is_right = change == "nothing"
        return Case(change, _COMMANDS, reason, is_right, {published.VARIABLE: str(data)})


def _read_anew(content: bytes) -> list[dict[str, Any]]:
    with gzip.open(io.BytesIO(content)) as file:
        text = file.read(_LARGEST + 1)
    assert len(text) <= _LARGEST, "it unpacks to more than a table has"
    header, *lines = [
        cells for cells in csv.reader(io.StringIO(text.decode(), newline=""), strict=True) if cells
    ]
    assert set(_NUMBERS + _TEXTS) <= set(header), f"its columns are {header}"
    assert len(set(header)) == len(header), f"its columns are {header}"
    rows = []
    for cells in lines:
        assert len(cells) == len(header), f"a row has {len(cells)} cells"
        row = dict(zip(header, cells, strict=True))
        for name in _NUMBERS:
            assert re.fullmatch(r"\s*[+-]?[\d.]+([eE][+-]?\d+)?\s*", row[name]), (
                f"{name} is {row[name]!r}"
            )
            assert math.isfinite(float(row[name])), f"{name} is {row[name]}"
            assert name not in _WHOLE or float(row[name]).is_integer(), f"{name} is {row[name]}"
        assert 0 <= float(row["score"]) <= 100, f"the score is {row['score']} per cent"
        assert float(row["flops"]) > 0, f"flops are {row['flops']}"
        rows.append(row)
    tell = [(row["source"], row["task"], float(row["cfg_id"])) for row in rows]
    assert len(set(tell)) == len(tell), "a network is there twice"
    return rows
