"""What the command lines of all benchmarks have in common."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from tailorbird.storage import strict_json


def command_line(documentation: str | None) -> argparse.ArgumentParser:
    """Parser of a script, described by the first line of its documentation, with `--json FILE`."""
    parser = argparse.ArgumentParser(description=(documentation or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="for the results")
    return parser


def write_result(file: Path | None, result: Mapping[str, object]) -> None:
    """Writes what a script found out, if it was asked for a file; NaN is null."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(strict_json.dumps(result) + "\n")
