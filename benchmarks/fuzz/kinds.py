"""The classes of inputs by name, and how many cases a whole run has of each."""

from collections.abc import Callable
from pathlib import Path

from fuzz.case import Fuzzer
from fuzz.evaluations import Evaluations
from fuzz.publications import Publications
from fuzz.recipes import Recipes
from fuzz.sheets import Sheets
from fuzz.tables import Tables
from fuzz.weights import Weights

KINDS: dict[str, Callable[[Path], Fuzzer]] = {
    "recipes": Recipes,
    "tables": Tables,
    "weights": Weights,
    "sheets": Sheets,
    "publications": Publications,
    "evaluations": Evaluations,
}
N_CASES = {
    "recipes": 700,
    "tables": 1_500,
    "weights": 100,
    "sheets": 100,
    "publications": 100,
    "evaluations": 100,
}
N_ORIGINALS = {
    "recipes": 11,
    "tables": 18,
    "weights": 2,
    "sheets": 4,
    "publications": 1,
    "evaluations": 5,
}
