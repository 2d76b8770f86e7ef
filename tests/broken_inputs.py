"""Inputs whose commands go wrong in a known way: a recipe with a space of the user's own."""

import random
from collections.abc import Sequence
from pathlib import Path

from fuzz.case import Case, Ran

RECIPE = '[space]\nmodule = "mine:space"\n'
SPACE = """
import os, sys
from tailorbird import spaces

def space(batch):
    {fault}
    return spaces.get("digits-resnet", max_stitches=1, batch=batch)
"""
FAULTS = {
    "nothing": "pass",
    "endless": "while True: pass",
    "dead": "os._exit(3)",
    "foreseen by nobody": 'sys.exit(print("Nobody foresaw this error", file=sys.stderr))',
    "steering": 'print("\\x1b[2J")',
    "leaving": 'open("half.new", "w").close()',
    "leaving and refusing": 'open("whole", "w").close(); raise ValueError("no")',
    "hungry": "bytearray(8 * 2**30)",
}


class Broken:
    """Fails in one way; its original is right.

    Args:
        fault: a key of `FAULTS`.
        folder: not used.
    """

    def __init__(self, fault: str, folder: Path) -> None:
        self._fault = fault

    def original(self, number: int, folder: Path) -> Case:
        return _case("nothing", folder)

    def case(self, rng: random.Random, folder: Path) -> Case:
        return _case(self._fault, folder)


def _case(fault: str, folder: Path) -> Case:
    (folder / "r.toml").write_text(f'name = "r"\n{RECIPE}')
    (folder / "mine.py").write_text(SPACE.format(fault=FAULTS[fault]))

    def reason(ran: Sequence[Ran]) -> str | None:
        return None if fault == "nothing" else "it may be"

    return Case(fault, (("table", "keys", "r.toml"),), reason, is_right=fault == "hungry")
