"""The page of a report: what it says, where its links lead, and that texts stay texts."""

import json
import math
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scripts.made_up_report import made_up_report

from tailorbird import spaces
from tailorbird.reports import Checked, Report
from tailorbird.reports.page.contents import Contents
from tailorbird.reports.page.markdown import markdown_of
from tailorbird.reports.page.page import page_of

MARK = "0123456789abcdef"
SPACE = spaces.get("digits-resnet")


class Page(HTMLParser):
    """Ids, links, texts of elements by tag, and tags, of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        self.tags.append((tag, of))
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name == "href" and value]
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["script"], ["style"]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def page(report: Report) -> Page:
    return Page(page_of(Contents(report), MARK))


@pytest.fixture(scope="module")
def plain() -> Report:
    return made_up_report(SPACE)


def with_networks(report: Report, **columns: Any) -> Report:
    front = report.front
    return replace(report, front=replace(front, networks=front.networks.assign(**columns)))


def test_a_page_needs_nothing_from_elsewhere_and_every_link_leads_somewhere(plain: Report) -> None:
    html = page_of(Contents(plain), MARK)
    made = Page(html)
    assert len({*made.ids}) == len(made.ids)
    assert {link[1:] for link in made.links if link.startswith("#")} <= {*made.ids}
    assert all(link.startswith(("#", "data:")) for link in made.links)
    assert not re.search(r"(?:src|srcset|action)=|@import|url\((?!#)", html)
    outside = {*re.findall(r"https?://[^\"' )]+", html)}
    assert outside <= {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert len(html) < 400_000


def test_each_network_has_a_point_a_row_and_a_card(plain: Report) -> None:
    made = page(plain)
    for number in range(len(plain.front.networks)):
        assert {f"front-{number}", f"row-{number}", f"network-{number}"} <= {*made.ids}
    for name in plain.front.networks["architecture"]:
        command = f"tailorbird export 'made up.toml' --architecture {shlex.quote(name)}"
        assert command in made.text


HOSTILE = "<img src=x onerror=alert(1)>'\"&</script>`${1}`"


def test_html_in_every_name_stays_text(plain: Report) -> None:
    hostile = with_networks(plain, architecture=HOSTILE, kind=HOSTILE, space=HOSTILE)
    hostile = replace(
        hostile,
        random=replace(
            plain.random, networks=plain.random.networks.assign(architecture=HOSTILE, space="b")
        ),
        title=HOSTILE,
        subtitle=HOSTILE,
        accuracy=HOSTILE,
        provenance={HOSTILE: HOSTILE},
        recipe=HOSTILE,
        remarks=(HOSTILE,),
        recipe_path=HOSTILE,
        outlines={HOSTILE: next(iter(plain.outlines.values()))},
    )
    hostile = replace(hostile, front=replace(hostile.front, failures={HOSTILE: HOSTILE}))
    is_told(hostile)
    is_told(made_up_report(SPACE, devices=[HOSTILE, "|"]))


def is_told(hostile: Report) -> None:
    """Asserts that a page has a hostile text, and that it is nothing but text."""
    made = page(hostile)
    assert "img" not in {tag for tag, _ in made.tags}
    assert sum(tag == "script" for tag, _ in made.tags) == 2
    assert not any(name.startswith("on") for _, of in made.tags for name in of)
    assert HOSTILE in made.text
    markdown = markdown_of(Contents(hostile), MARK)
    assert "<img" not in re.sub(r"```.*?```", "", markdown.replace("\\<", ""), flags=re.DOTALL)


def data_of(report: Report) -> dict[str, Any]:
    html = page_of(Contents(report), MARK)
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_script_knows_each_network_by_what_it_is_chosen_by(plain: Report) -> None:
    networks = plain.front.networks
    data = data_of(plain)
    assert [n["accuracy"] for n in data["networks"]] == networks["accuracy_validation"].tolist()
    assert [n["costs"][0] for n in data["networks"]] == networks["latency_ms_measured"].tolist()
    assert data["limits"] == [None]
    assert data_of(replace(plain, limits={"latency_ms": 1.5}))["limits"] == [1.5]
    three = made_up_report(SPACE, further=["mega_params"])
    assert data_of(replace(three, limits={"mega_params": 2.0}))["limits"] == [None, 2.0]


def test_a_network_that_could_not_be_timed_is_not_drawn_but_listed_with_its_reason(
    plain: Report,
) -> None:
    ms = plain.front.networks["latency_ms_measured"].where(lambda s: s.index != 3)
    name = plain.front.networks["architecture"][3]
    failed = with_networks(plain, latency_ms_measured=ms)
    failed = replace(failed, front=replace(failed.front, failures={name: "it is <broken>"}))
    made = page(failed)
    assert "front-3" not in made.ids
    assert {"row-3", "network-3"} <= {*made.ids}
    assert "#front-3" not in made.links
    assert "it is <broken>" in made.text
    predicted = plain.front.networks["latency_ms_predicted"][3]
    assert data_of(failed)["networks"][3]["costs"][0] == predicted  # as `export` has it


def test_untimed_networks_are_drawn_over_what_was_predicted(plain: Report) -> None:
    untimed = made_up_report(SPACE, is_timed=False)
    made = page(untimed)
    assert "predicted latency, ms: faster is left" in made.text
    assert "measured latency" not in made.text
    assert "no network was timed whole" in made.text
    assert "one round of measuring" not in made.text
    assert "front-0" in made.ids
    assert "measured latency, ms: faster is left" in page(plain).text


def test_beaten_networks_are_hollow_and_have_no_mark(plain: Report) -> None:
    networks = plain.front.networks
    ms, accuracy = networks["latency_ms_measured"], networks["accuracy_test"]
    beaten = [
        bool(
            (
                (ms <= ms[i])
                & (accuracy >= accuracy[i])
                & ((ms < ms[i]) | (accuracy > accuracy[i]))
            ).any()
        )
        for i in range(len(networks))
    ]
    assert 0 < sum(beaten) < len(beaten)
    html = page_of(Contents(plain), MARK)
    rows = re.findall(r'<tr id="row-\d+".*?</tr>', html)
    assert ["●" not in row for row in rows] == beaten
    points = dict(re.findall(r'id="front-(\d+)"(.*?)</a>', html))
    assert [" hollow" in points[str(i)] for i in range(len(networks))] == beaten


def test_three_objectives_have_parallel_coordinates_and_two_have_none(plain: Report) -> None:
    made = page(made_up_report(SPACE, further=["mega_params", "weight_mib"]))
    assert "parallel" in made.ids
    assert {"parameters, million", "weights, MiB"} <= {*(t.strip() for t in made.texts)}
    assert "parallel" not in page(plain).ids


def test_several_devices_stand_beside_each_other_and_none_beside_itself() -> None:
    report = made_up_report(SPACE, devices=["a phone", "a watch"])
    made = page(report)
    assert {"devices", "on-devices"} <= {*made.ids}
    assert "latency_ms@a phone" in report.front.networks
    rows = re.findall(r"<tr>(.*?)</tr>", page_of(Contents(report), MARK), flags=re.DOTALL)
    pairs = [re.findall(r'<td class="text">(.*?)</td>', row) for row in rows]
    pairs = [pair for pair in pairs if len(pair) == 2]
    assert len(pairs) == 6
    assert all(one != other for one, other in pairs)


def test_predicted_networks_are_a_cloud_where_they_are_many() -> None:
    many = made_up_report(spaces.get("ofa-mobilenetv3"), n_predicted=10_000)
    html = page_of(Contents(many), MARK)
    assert len(html) < 1_500_000
    assert "predicted front of 10,000" in html


@pytest.mark.parametrize("case", ["one network", "equal ones", "nothing known"])
def test_a_page_of_hardly_anything_is_a_page(plain: Report, case: str) -> None:
    front = plain.front
    if case == "one network":
        front = Checked(front.networks[:1], front.round_ms[:1], {})
    elif case == "equal ones":
        same = front.networks.assign(latency_ms_measured=1.0, accuracy_test=0.9)
        front = replace(front, networks=same)
    else:
        nothing = [
            "accuracy_validation",
            "accuracy_test",
            "accuracy_test_std",
            "latency_ms_measured",
        ]
        front = replace(front, networks=front.networks.assign(**dict.fromkeys(nothing, np.nan)))
    random = plain.random if case != "nothing known" else front
    made = page(replace(plain, front=front, random=random))
    assert "row-0" in made.ids
    assert "nan" not in re.sub(r"[A-Za-z]*nan[a-z]+", "", made.text).lower()


def test_a_table_that_is_not_to_be_trusted_is_told_first(plain: Report) -> None:
    doubted = replace(plain, summary={**plain.summary, "share_trusted": 0.11})
    text = page(doubted).text
    told = "11% of the rows of the latency table are to be trusted: measure again"
    assert text.index(told) < text.index("Test accuracy over")
    assert "measure again" not in page(plain).text


def test_anchors_are_shown_as_they_were_alone(plain: Report) -> None:
    alone = pd.DataFrame(
        {
            "architecture": ["w4", "w8"],
            "accuracy_test": [0.9, 0.95],
            "accuracy_test_std": [0.01, 0.01],
            "latency_ms_measured": [0.5, np.nan],
            "latency_ms_predicted": [0.4, 0.75],
        }
    )
    made = page(replace(plain, supplied=alone))
    assert "anchors alone, before they were stitched" in made.text
    assert "anchors alone, at their predicted latency" in made.text
    assert "w4: 90 %, 0.5 ms" in made.text
    assert "w8: 95 %, 0.75 ms" in made.text  # not measured, so a group of its own
    assert "before they were stitched, on test images: w4 90 ± 1 %, w8 95 ± 1 %." in made.text


def test_markdown_says_the_same(plain: Report) -> None:
    contents = Contents(plain)
    text = markdown_of(contents, MARK)
    assert MARK in text.splitlines()[0]
    assert text.count("\n|") >= 2 + len(contents.rows)
    assert 'name = "made up"' in text
    unescaped = text.replace("\\", "")
    assert contents.answer in unescaped
    assert all(row.name in unescaped for row in contents.rows)


def test_markdown_has_devices_and_anchors_alone() -> None:
    report = made_up_report(SPACE, devices=["a phone"])
    alone = pd.DataFrame(
        {
            "architecture": ["w4"],
            "accuracy_test": [0.9],
            "accuracy_test_std": [0.01],
            "latency_ms_measured": [0.5],
            "latency_ms_predicted": [0.4],
        }
    )
    text = markdown_of(Contents(replace(report, supplied=alone)), MARK).replace("\\", "")
    assert "before they were stitched, on test images: w4 90 ± 1 %." in text
    assert "| device | local | a phone |" in text
    assert "| a phone | local | " in text


def test_figures_of_curves_are_finite(plain: Report) -> None:
    html = page_of(Contents(plain), MARK)
    assert "nan%" not in html
    assert "inf%" not in html
    assert math.isfinite(float(re.findall(r'x="([\d.]+)%"', html)[0]))
