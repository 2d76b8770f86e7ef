"""Finetuned networks in a report that is there already."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tailorbird.reports import finetuned
from tailorbird.reports.finetuned import BASIS

PLACE = "<html><!-- finetuned networks: begin --><!-- finetuned networks: end --></html>"
OF = {"accuracies_of": "digits@1", "latencies_of": "local, batch 2"}


def report(folder: Path, of: dict[str, str]) -> dict[str, bytes]:
    """Files of a report, of which finetuned networks become a part."""
    front = {"architecture": ["a"], "latency_ms_measured": [2.0], "latency_ms_predicted": [2.1]}
    pd.DataFrame({**front, "accuracy_test": [0.8]}).to_parquet(folder / "front.parquet")
    (folder / "summary.json").write_text(json.dumps({"mape": 0.1, **of}))
    (folder / "report.html").write_text(PLACE)
    return {name: (folder / name).read_bytes() for name in ("summary.json", "report.html")}


def network() -> pd.DataFrame:
    numbers = {
        "latency_ms_measured": 1.5,
        "latency_ms_predicted": 1.6,
        "latency_ms_std": 0.1,
        "accuracy_test": 0.9,
        "accuracy_test_before": 0.8,
        "accuracy_test_gain": 0.1,
        "accuracy_test_gain_std": 0.02,
        "accuracy_validation": 0.9,
        "accuracy_validation_before": 0.8,
        "scratch_lead": float("nan"),
    }
    facts = {"architecture": "a", "finetuned_epochs": 3, "finetuned_has_changed": True}
    return pd.DataFrame([{**facts, **numbers, "latency_failure": "", **OF}])


def test_a_report_of_the_same_accuracies_and_latencies_gets_them(tmp_path: Path) -> None:
    report(tmp_path, OF)
    assert finetuned.write(tmp_path, network())
    assert "Finetuned networks" in (tmp_path / "report.html").read_text()
    (one,) = json.loads((tmp_path / "summary.json").read_text())["finetuned"]
    assert one["architecture"] == "a"
    assert {key: one[key] for key in BASIS} == OF


@pytest.mark.parametrize("key", BASIS)
@pytest.mark.parametrize("value", ["others", None])
def test_a_report_of_others_stays_as_it_is(tmp_path: Path, key: str, value: str | None) -> None:
    of = {**OF, key: value} if value else {k: v for k, v in OF.items() if k != key}
    files = report(tmp_path, of)
    assert not finetuned.write(tmp_path, network())
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert len(pd.read_parquet(tmp_path / "finetuned.parquet")) == 1


def test_a_report_of_an_earlier_version_stays_as_it_is(tmp_path: Path) -> None:
    report(tmp_path, OF)
    earlier = "<html><!-- finetuned networks begin --><!-- finetuned networks end --></html>"
    (tmp_path / "report.html").write_text(earlier)
    assert not finetuned.write(tmp_path, network())
    assert (tmp_path / "report.html").read_text() == earlier


def test_a_difference_without_a_standard_error_says_so(tmp_path: Path) -> None:
    unknown = network().assign(
        accuracy_test_gain_std=float("nan"),
        finetuned_has_changed=False,
        n_test=30,
        scratch_epochs=9.0,
        scratch_lead=0.01,
        scratch_lead_std=float("nan"),
        scratch_is_better=False,
    )
    (row,) = finetuned.records(unknown)
    first, kept, error, alone = finetuned.sentences(row)
    assert "(+10.00 points)" in first
    assert "did not raise its accuracy of 80.00 % on validation images, so its weights" in kept
    assert error.startswith("Standard errors are not known")
    assert alone.endswith("it is not surely better (+1.00 points).")
    report(tmp_path, OF)
    assert finetuned.write(tmp_path, unknown)
    page = (tmp_path / "report.html").read_text()
    assert "<td>+10.00</td>" in page
    assert "<td>+1.00</td>" in page
    known = finetuned.records(unknown.assign(accuracy_test_gain_std=0.02))[0]
    first, kept, _ = finetuned.sentences(known)
    assert "(+10.00 ± 2.00 points)" in first
    assert "on validation images by a standard error or more" in kept


def test_training_from_scratch_is_advised_where_it_can_be_done() -> None:
    facts = {"n_test": 30, "accuracy_test_gain_std": 0.02, "scratch_lead": float("nan")}
    for epochs, advised in ((9.0, ["9 epochs"]), (float("nan"), [])):
        (row,) = finetuned.records(network().assign(**facts, scratch_epochs=epochs))
        _, *told = finetuned.sentences(row)
        assert len(told) == len(advised)
        assert all(f"`--against-scratch` tells, in {n}" in told[0] for n in advised)
