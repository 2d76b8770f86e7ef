"""`tailorbird data get` of every name from a host on loopback: seconds, bytes, and cells.

The host serves the copies of original files that lie among the data, under the paths of the public
repositories; originals of which there is no copy are left out of what is fetched. The files of
DyNAS-T have no copies at all: they are written anew from the converted table, so that its cells
check the way through, but not what DyNAS-T published. So do the accuracies of NAS-Bench-201, which
are given as a CSV. What is made in an empty folder is compared with the tables among the data, cell
by cell and exactly, on the columns and rows that both have.

Exits with 1 if a cell differs, a row or a column is missing, rows were made that are not among the
data, rows stand in another order, or a table has no cell to compare. Latencies whose original has
no copy may be missing, and so may the sum of block latencies, which nobody published. Evaluations
by DyNAS-T that the table among the data lacks may be made.
"""

import csv
import hashlib
import io
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from scripts import command_line, write_result

from tailorbird.cli.data import get
from tailorbird.published.data_folder import data_folder
from tailorbird.published.sources import Original
from tailorbird.published.tables import TABLES

KEYS = {
    "snnet": ["source", "task", "cfg_id"],
    "nasbench-macro": ["arch"],
    "ofa-i7-8700k": ["key"],
    "ofa-accuracies": ["run", "step"],
    "fbnet": [f"l{layer:02}" for layer in range(22)],
    "nasbench201": ["index"],
}
"""Columns that tell the rows of a table apart."""

REWRITTEN = "ofa-accuracies"
"""Its originals are made of the table; rows that this lacks are there all the same."""

DERIVED = {"ofa-accuracies": {"lat_ms_i7_8700k_lut"}}
"""Columns that are no published figures, and so are not made."""

WITH_ACCURACIES = "nasbench201"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def searched(run: pd.DataFrame) -> bytes:
    """One search in DyNAS-T's format.

    Steps that the table lacks take the row that comes next, so that all others keep their number.
    """
    steps = run.set_index("step")
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ("Sub-network", "Date", "Model Parameters", "Latency (ms)", "MACs", "Top-1 Acc (%)")
    )
    for _, row in steps.reindex(range(steps.index.max() + 1), method="bfill").iterrows():
        network = {
            "wid": None,
            "ks": [int(row[f"ks{slot:02}"]) for slot in range(20)],
            "e": [int(row[f"e{slot:02}"]) for slot in range(20)],
            "d": [int(row[f"d{slot}"]) for slot in range(5)],
            "r": [224],
        }
        measured = (int(row["params"]), 0, int(row["macs"]), f"{row['top1']:.3f}")
        rows.writerow((network, "2022-11-01 05:40:09.265694", *measured))
    return text.getvalue().encode()


def copied(original: Original, content: bytes, host: Path) -> Original:
    """Puts a file where a mirror has it, and says what to expect."""
    place = host / original.repository / original.commit / original.path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return replace(original, n_bytes=len(content), sha256=digest)


def put_on(host: Path, data: Path) -> dict[str, set[str]]:
    """Fills a mirror; what it lacks is taken off the lists, and returned: stems by name."""
    left_out = {}
    for name, table in TABLES.items():
        here = []
        if name == REWRITTEN:
            runs = dict(list(pd.read_parquet(data / table.file).groupby("run")))
            for original in table.originals:
                run = PurePosixPath(original.path).stem.removeprefix("mbnv3w10_")
                here.append(copied(original, searched(runs[run]), host))
        else:
            for original in table.originals:
                if original.place(data).exists():
                    content = original.place(data).read_bytes()
                    if copied(original, content, host) != original:
                        raise SystemExit(f"{original.place(data)} is not what sources.json says.")
                    here.append(original)
        missing = {one.path for one in table.originals} - {one.path for one in here}
        left_out[name] = {PurePosixPath(path).stem for path in missing}
        TABLES[name] = replace(table, originals=tuple(here))
    return left_out


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)


@dataclass(frozen=True)
class Comparison:
    """Cells of a table that was made, here, against those of one that was there."""

    cells: int
    different: int
    rows_only_there: int
    rows_only_here: int
    rows_moved: int
    columns_only_there: list[str]
    columns_only_here: list[str]

    @classmethod
    def of(cls, made: pd.DataFrame, there: pd.DataFrame, key: list[str]) -> "Comparison":
        shared = [name for name in there if name in made]
        numbered = [frame.assign(_same=frame.groupby(key).cumcount()) for frame in (there, made)]
        left, right = (frame.set_index([*key, "_same"]) for frame in numbered)
        rows = left.index[left.index.isin(right.index)]
        n_there, n_here = len(left) - len(rows), len(right) - len(rows)
        moved = int((rows != right.index[right.index.isin(left.index)]).sum())
        left, right = left.loc[rows], right.loc[rows]
        cells = different = 0
        for name in shared:
            cells += len(rows)
            if name in key:  # which the join has compared
                continue
            a, b = left[name], right[name]
            if a.dtype != b.dtype:
                different += len(rows)
                continue
            bits = [column.to_numpy() for column in (a, b)]
            same = (bits[0] == bits[1]) | (a.isna().to_numpy() & b.isna().to_numpy())
            different += int((~same).sum())
        only_there, only_here = (
            sorted(set(map(str, some)) - set(map(str, others)))
            for some, others in ((there, made), (made, there))
        )
        return cls(cells, different, n_there, n_here, moved, only_there, only_here)


def compared(
    name: str, made: pd.DataFrame, there: pd.DataFrame, key: list[str], left_out: set[str]
) -> dict[str, Any]:
    """The comparison, and which of the columns that were not made should have been."""
    found = Comparison.of(made, there, key)
    excepted = {f"lat_ms_{stem}" for stem in left_out} | DERIVED.get(name, set())
    return {**asdict(found), "columns_missing": sorted({*found.columns_only_there} - excepted)}


def misses(name: str, result: dict[str, Any]) -> list[str]:
    """What is not as it was there, a line each."""
    counts = {
        f"of {result['cells']} cells differ": result["different"],
        "rows are only there": result["rows_only_there"],
        "rows are only here": 0 if name == REWRITTEN else result["rows_only_here"],
        "rows stand in another order": result["rows_moved"],
        f"columns are only there ({', '.join(result['columns_missing'])})": len(
            result["columns_missing"]
        ),
        "cells are to be compared": int(not result["cells"]),
    }
    return [f"{name}: {count} {what}" for what, count in counts.items() if count]


def main() -> None:
    parser = command_line(__doc__)
    arguments = parser.parse_args()
    data = data_folder()
    for table in TABLES.values():
        if not table.is_in(data):
            raise SystemExit(f"There is nothing to compare with: {data / table.file} is missing.")
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        host, new = Path(scratch) / "host", Path(scratch) / "data"
        left_out = put_on(host, data)
        accuracies = Path(scratch) / "accuracies.csv"
        cells = read(data / TABLES[WITH_ACCURACIES].file)
        cells.filter(regex="^index$|_12ep$").to_csv(accuracies, index=False)
        os.environ["TAILORBIRD_DATA"] = str(new)
        os.environ["NO_PROXY"] = "*"
        with served(host) as url:
            for name, table in TABLES.items():
                given = accuracies if name == WITH_ACCURACIES else None
                start = time.perf_counter()
                get([name], url, given)
                seconds = time.perf_counter() - start
                made, there = read(new / table.file), read(data / table.file)
                results[name] = {
                    "seconds": seconds,
                    "bytes": table.n_bytes,
                    "files_left_out": len(left_out[name]),
                    **compared(name, made, there, KEYS[name], left_out[name]),
                }
    print(
        f"\n{'name':<16}{'seconds':>8}{'bytes':>11}{'files left out':>16}{'cells compared':>16}"
        f"{'different':>11}{'missing':>9}{'more':>6}{'moved':>7}{'goal':>6}"
    )
    for name, result in results.items():
        missing = result["rows_only_there"] + len(result["columns_missing"])
        remark = "  rewritten: its originals are made of the table" if name == REWRITTEN else ""
        print(
            f"{name:<16}{result['seconds']:8.2f}{result['bytes']:11}{result['files_left_out']:16}"
            f"{result['cells']:16}{result['different']:11}{missing:9}"
            f"{result['rows_only_here']:6}{result['rows_moved']:7}{0:6}{remark}"
        )
    write_result(arguments.json, results)
    missed = [line for name, result in results.items() for line in misses(name, result)]
    for line in missed:
        print(f"MISSED {line}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
