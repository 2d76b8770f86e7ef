"""The report in Debian's chromium: what a reader does, and what a rule of accessibility says."""

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scripts.made_up_report import made_up_report

from tailorbird import spaces
from tailorbird.reports import Report
from tailorbird.reports.page.contents import Contents
from tailorbird.reports.page.page import page_of

CHROMIUM = shutil.which("chromium")
BUILD = Path(__file__).parents[2] / "build" / "reports"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: `apt-get install chromium` has it"),
]

SMALL = {"width": 390, "height": 844}
LARGE = {"width": 1600, "height": 900}
KINDS = {
    "two objectives": {},
    "three objectives": {"further": ["mega_params"]},
    "several devices": {"devices": ["a phone", "a watch"]},
    "not timed": {"is_timed": False},
    "many predicted": {"n_predicted": 3_000},
    "long names": {"devices": ["a device whose name has forty characters"]},
    "finetuned": {"n_finetuned": 3},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module", params=KINDS)
def html(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    asked: Any = KINDS[request.param]
    return written(made_up_report(spaces.get("digits-resnet"), **asked), tmp_path_factory)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(made_up_report(spaces.get("digits-resnet")), tmp_path_factory)


@pytest.fixture(scope="module")
def parallel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = made_up_report(spaces.get("digits-resnet"), further=["mega_params"])
    return written(report, tmp_path_factory)


def written(report: Report, factory: pytest.TempPathFactory) -> Path:
    path = factory.mktemp("report") / "report.html"
    path.write_text(page_of(Contents(report), "0123456789abcdef"), encoding="utf-8")
    return path


class Opened:
    """A page, with what it said on the console and what it asked for."""

    def __init__(self, browser: Any, html: Path, hash: str = "", **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": LARGE, **context})
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(html.as_uri() + hash)

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert not self.said
        assert all(url.startswith(("file:", "data:")) for url in self.asked)


def shown(page: Any) -> list[str]:
    """Numbers of the cards that are shown."""
    cards = page.locator("article[data-network]:visible")
    return [card.get_attribute("data-network") for card in cards.all()]


@pytest.mark.parametrize(
    ("size", "scheme"), [(SMALL, "light"), (LARGE, "dark")], ids=["390-light", "1600-dark"]
)
def test_a_page_has_room_and_is_kept_as_a_picture(
    browser: Any, html: Path, size: Any, scheme: str, request: pytest.FixtureRequest
) -> None:
    with Opened(browser, html, viewport=size, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", paper)[:3])) > 382
        assert light == (scheme == "light")
        BUILD.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "-", request.node.callspec.id)
        page.screenshot(path=BUILD / f"{name}.png", full_page=True)


def test_no_rule_of_accessibility_is_broken(browser: Any, html: Path) -> None:
    assert violations(browser, html, "light") == []


def test_no_rule_of_accessibility_is_broken_in_the_dark(browser: Any, plain: Path) -> None:
    assert violations(browser, plain, "dark") == []


def violations(browser: Any, html: Path, scheme: str) -> list[tuple[str, str]]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with Opened(browser, html, color_scheme=scheme) as page:
        found = axe.Axe().run(page).response["violations"]
        return [(rule["id"], rule["impact"]) for rule in found]


def test_a_page_prints_on_four_pages(browser: Any, html: Path) -> None:
    with Opened(browser, html) as page:
        printed = page.pdf(format="A4")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4


def test_a_page_without_script_is_whole(browser: Any, plain: Path) -> None:
    with Opened(browser, plain, java_script_enabled=False) as page:
        assert len(page.locator("article[data-network]:visible").all()) == 16
        assert not page.locator("form.budget").is_visible()
        assert page.locator("#front a[data-network]").count() == 16
        page.locator("#front-3").click(force=True)
        assert page.url.endswith("#row-3")
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) <= 4


def test_a_budget_picks_the_most_accurate_network_within_it(browser: Any, plain: Path) -> None:
    networks = made_up_report(spaces.get("digits-resnet")).front.networks
    with Opened(browser, plain) as page:
        seen = []
        for budget in sorted(networks["latency_ms_measured"])[:6]:
            page.locator("input[name=most]").fill(f"{budget:.9g}")
            within = networks[networks["latency_ms_measured"] <= budget * (1 + 1e-6)]
            assert shown(page) == [str(within["accuracy_validation"].idxmax())]
            seen += shown(page)
        assert len({*seen}) > 1
        page.locator("input[name=most]").fill("1e-9")
        assert shown(page) == []
        assert "None is within" in page.locator("output").inner_text()
        least = float(re.findall(r"least is ([\d.]+)", page.locator("output").inner_text())[0])
        page.locator("input[name=most]").fill(str(least))
        assert len(shown(page)) == 1


def test_the_slider_moves_by_the_keyboard_alone(browser: Any, plain: Path) -> None:
    with Opened(browser, plain) as page:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name") == "range":
                break
        last = shown(page)
        page.keyboard.press("Home")
        first = shown(page)
        assert len(first) == len(last) == 1
        assert first != last
        assert float(page.locator("input[name=most]").input_value()) > 0
        page.keyboard.press("End")
        assert shown(page) == last


def test_points_and_rows_lead_to_each_other_by_the_keyboard(browser: Any, plain: Path) -> None:
    with Opened(browser, plain) as page:
        page.locator("#front-5").focus()
        assert page.locator("#tip").inner_text() != ""
        page.keyboard.press("Enter")
        assert page.url.endswith("#row-5")
        assert shown(page) == ["5"]
        page.locator("#row-5 a").focus()
        page.keyboard.press("Enter")
        assert page.url.endswith("#front-5")
        assert "chosen" in page.locator("#front-5").get_attribute("class")


def test_a_point_is_shown_again_and_again(browser: Any, plain: Path) -> None:
    networks = made_up_report(spaces.get("digits-resnet")).front.networks
    with Opened(browser, plain) as page:
        for number in ("5", "7", "5"):
            page.locator(f"#front-{number}").click(force=True)
            assert shown(page) == [number]
            cost = networks["latency_ms_measured"][int(number)]
            assert cost <= float(page.locator("input[name=most]").input_value()) < 1.01 * cost
            page.locator("input[name=most]").fill("1e9")
            assert page.locator("output").inner_text().endswith("by validation images:")
        page.locator(f"#front-{number}").click(force=True)
        assert shown(page) == [number]


def test_a_bookmark_of_a_network_that_is_gone_shows_the_best(browser: Any, plain: Path) -> None:
    with Opened(browser, plain) as page:
        best = shown(page)
    with Opened(browser, plain.with_name("report.html"), hash="#row-99") as page:
        assert shown(page) == best


def test_the_tip_stays_away_from_what_has_none(browser: Any, plain: Path) -> None:
    with Opened(browser, plain) as page:
        page.locator("h1").hover()
        assert not page.locator("#tip").is_visible()
        page.locator("article:visible h3").hover()
        assert not page.locator("#tip").is_visible()


def test_pointing_at_a_network_tells_its_figures(browser: Any, plain: Path) -> None:
    with Opened(browser, plain) as page:
        page.locator("#front-2 use").hover(force=True)
        name = page.locator("#network-2 h3").inner_text()
        assert page.locator("#tip").inner_text().startswith(name)


def test_a_brush_marks_what_is_inside_and_escape_marks_all(browser: Any, plain: Path) -> None:
    with Opened(browser, plain) as page:
        canvas = page.locator("#front .canvas > svg")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        points = page.locator("#front a[data-network]").all()
        boxes = [point.locator("use").bounding_box() for point in points]
        x = [at["x"] + at["width"] / 2 for at in boxes]
        _, low, high = max((b - a, a, b) for a, b in pairwise(sorted(x)))
        middle = (low + high) / 2  # far from any point
        page.mouse.move(box["x"] + 2, box["y"] + 2)
        page.mouse.down()
        page.mouse.move(middle, box["y"] + box["height"] - 2, steps=5)
        page.mouse.up()
        left = [at <= middle for at in x]
        assert 0 < sum(left) < len(left)
        marked = ["out" not in (p.get_attribute("class") or "").split() for p in points]
        assert marked == left
        assert page.locator("tr.out").count() == left.count(False)
        assert page.locator("#brushed").inner_text().startswith(f"{sum(left)} of 16")
        page.keyboard.press("Escape")
        assert page.locator(".out").count() == 0


def test_ranges_of_parallel_axes_mark_by_the_keyboard(browser: Any, parallel: Path) -> None:
    networks = made_up_report(spaces.get("digits-resnet"), further=["mega_params"]).front.networks
    limit = float(networks["mega_params"].median())
    with Opened(browser, parallel) as page:
        page.locator("ol.axes input[data-axis='2'][data-end='1']").fill(f"{limit:.9g}")
        expected = (networks["mega_params"] > limit * (1 + 1e-6)).sum()
        assert page.locator("tr.out").count() == expected
        handle = page.locator("#parallel .handle").first
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        page.mouse.move(box["x"] + 5, box["y"] + 1)
        page.mouse.down()
        page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()
        assert page.locator("tr.out").count() > expected
        assert page.locator("ol.axes input[data-axis='0']").first.input_value() != ""


def test_the_command_is_copied(browser: Any, plain: Path) -> None:
    with Opened(browser, plain, permissions=["clipboard-read", "clipboard-write"]) as page:
        button = page.locator("button.copy:visible")
        button.click()
        told = page.locator("article:visible code").inner_text()
        assert told.startswith("tailorbird export 'made up.toml' --architecture ")
        assert button.inner_text() == "copied"
        assert page.evaluate("navigator.clipboard.readText()") == told
