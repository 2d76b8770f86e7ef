"""The page of a run that goes on."""

import re
from pathlib import Path

import pytest
from scripts.made_up_report import made_up_report

from tailorbird import spaces
from tailorbird.reports.page.so_far import FILE, SoFar, State, write_so_far
from tailorbird.search.result import SearchResult


def test_steps_are_told_and_the_front_is_drawn_once_it_is_predicted(tmp_path: Path) -> None:
    page = tmp_path / FILE
    write_so_far(tmp_path, "a <b> run", {}, (), None)
    assert "none is done yet" in page.read_text()
    write_so_far(tmp_path, "a <b> run", {"profile": 61.2}, ("<i>mind</i> this",), None)
    text = page.read_text()
    assert "a &lt;b&gt; run" in text
    assert "profile: 61 s" in text
    assert "&lt;i&gt;mind&lt;/i&gt; this" in text
    assert "<figure" not in text
    found = made_up_report(spaces.get("digits-resnet"), n_predicted=30).found
    write_so_far(tmp_path, "a <b> run", {"profile": 61.2, "search": 3.0}, (), found)
    text = page.read_text()
    (path,) = re.findall(r'<path class="cloud" d="(.*?)"', text)
    assert 1 < path.count("M") <= 30  # equal dots are one
    assert "predicted accuracy" in text
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def stopped_after_its_search(page: SoFar, found: SearchResult) -> None:
    page.tell(found)
    raise KeyboardInterrupt


def test_a_run_that_is_stopped_keeps_what_its_search_found(tmp_path: Path) -> None:
    found = made_up_report(spaces.get("digits-resnet"), n_predicted=30).found
    page = SoFar(tmp_path, "a run", {}, lambda: ["mind"])
    with page:
        page.tell()
    assert "mind" not in (tmp_path / FILE).read_text()  # nothing is searched yet
    with pytest.raises(KeyboardInterrupt), page:
        stopped_after_its_search(page, found)
    text = (tmp_path / FILE).read_text()
    assert "start it again" in text
    assert "mind" in text
    assert '<path class="cloud"' in text


@pytest.mark.parametrize(
    ("state", "refresh", "sentence"),
    [
        ("running", '"20"', "is not finished"),
        ("stopped", "", "start it again"),
        ("done", '"0; url=report.html"', "is finished"),
    ],
)
def test_a_page_says_how_its_run_ended_and_a_finished_one_leads_to_the_report(
    tmp_path: Path, state: State, refresh: str, sentence: str
) -> None:
    write_so_far(tmp_path, "a run", {"profile": 1.0}, (), None, state)
    text = (tmp_path / FILE).read_text()
    assert sentence in text
    assert re.findall(r'http-equiv="refresh" content=(".*?")', text) == [refresh] * bool(refresh)
