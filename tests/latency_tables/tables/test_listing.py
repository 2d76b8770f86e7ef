import json

import numpy as np

from tailorbird.latency_tables import Configuration, Samples, Store
from tailorbird.latency_tables.tables.listing import listing, text
from tailorbird.spaces.footprint import Footprint

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")


def filled(store: Store) -> Store:
    session = store.begin({"kernel": "6"})

    def add(key: str, *rounds: float, reference_ms: float = 1.0, kernels: str = "") -> None:
        provenance = {"unscheduled_kernels": kernels}
        for number, ms in enumerate(rounds):
            samples = Samples(np.full(3, ms), np.full(2, 0.9 * ms))
            store.add(key, CONFIGURATION, session, number, samples, reference_ms, provenance)

    add("good", 1.0, 1.01)
    add("noisy", 1.0, 1.5)
    add("young", 1.0)
    add("drifted", 1.0, 1.0, reference_ms=1.5)
    add("scalar", 1.0, 1.0, kernels="pool2d")
    store.fail("broken", CONFIGURATION, session, "it hung")
    store.keep_footprint("good", Footprint(1, 2, 3 * 2**20, 2**19))
    return store


def test_rows_to_distrust_are_marked_with_why(store: Store) -> None:
    shown = text(filled(store).record(CONFIGURATION, "local", "tiny"), 2)
    marked = {line.split()[-1] for line in shown.splitlines() if line.startswith("?")}
    assert marked == {"noisy", "young", "drifted", "scalar"}
    for reason in ("differ by 28.3%", "one round only", "drifted to 1.50x", "kernels: pool2d"):
        assert shown.count(reason) == 1
    good = next(line for line in shown.splitlines() if line.endswith("good"))
    assert good.split() == ["1.005000", "0.904500", "0.7%", "2", "3.000", "0.500", "good"]
    assert "failed  broken: it hung" in shown
    assert "5 rows, 40% of them to be trusted, median spread 0.0%; 1 failed." in shown


def test_json_says_all_of_it(store: Store) -> None:
    record = filled(store).record(CONFIGURATION, "local", "tiny")
    shown = json.loads(json.dumps(listing(record, 3), allow_nan=False))
    rows = {row["workload"]: row for row in shown["rows"]}
    assert rows["good"]["doubts"] == ["2 of 3 rounds"]
    assert rows["good"]["weight_mib"] == 3.0
    assert rows["good"]["round_ms"] == [1.0, 1.01]
    assert rows["noisy"]["footprint"] is None
    assert rows["scalar"]["provenance"] == {"unscheduled_kernels": "pool2d"}
    assert shown["failures"] == {"broken": "it hung"}
    assert shown["quality"]["share_trusted"] == 0.4
    assert shown["provenance"]["kernel"] == "6"


def test_an_empty_table_is_shown_as_such(store: Store) -> None:
    record = store.record(CONFIGURATION, "local", "tiny")
    assert "No rows; 0 failed." in text(record, 2)
    json.dumps(listing(record, 2), allow_nan=False)
