"""A node's life in a real browser, used as a person would."""

import json
import statistics
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.commands import called
from support.soak import SOAK

pytest.importorskip("nicegui", reason="the extra web is not installed")

FILES = Path(__file__).parent.parent.parent / "python/ipam_core/data/examples/life"
COUNTS = ("running", "waiting", "enis", "total", "assigned", "free", "cooling")


@pytest.fixture
def opened(opened):
    """Open a link and wait for its time line."""

    @contextmanager
    def with_time_line(link="", **options):
        with opened(f"life{link}", **options) as page:
            page.wait_for_selector("#moments [aria-current]")
            yield page

    return with_time_line


_EVERY_MOMENT = """() => {
  const time = document.getElementById('time');
  const column = document.querySelector('#figures thead .chosen').cellIndex;
  return Array.from({length: +time.max + 1}, (_, n) => {
    time.value = n;
    time.dispatchEvent(new Event('input', {bubbles: true}));
    const rows = [...document.querySelectorAll('#figures tbody:first-of-type tr')];
    return {
      numbers: rows.map(row => +row.cells[column].textContent),
      cells: ['held', 'cooling', 'free'].map(
        each => document.querySelectorAll(`#enis .${each}`).length),
      waiting: document.querySelectorAll('#waiting li').length,
      calls: [...document.querySelectorAll('#calls li')].map(each => each.textContent),
      said: document.getElementById('now').textContent,
    };
  });
}"""


@pytest.mark.parametrize("policy", ["vpc-cni", "ipam-core"])
def test_the_numbers_at_each_moment_are_those_of_simulate(opened, capsys, policy):
    name = {"vpc-cni": "prefixes", "ipam-core": "cooldown"}[policy]
    with opened(f"?example={name}&policy={policy}") as page:
        shown = page.evaluate(_EVERY_MOMENT)
    _, out, _ = called(
        capsys, "simulate", str(FILES / f"{name}.yaml"), "--policy", policy, "--json"
    )
    timeline = json.loads(out)[0]["timeline"]
    assert len(shown) == len(timeline)
    so_far = 0
    for got, moment in zip(shown, timeline, strict=True):
        so_far += len(moment["calls"])
        assert got["numbers"] == [*(moment[count] for count in COUNTS), so_far]
        assert got["cells"] == [
            moment["assigned"],
            moment["cooling"],
            moment["free"] - moment["cooling"],
        ]
        assert got["waiting"] == moment["waiting"]
        assert got["calls"] == moment["calls"]
        assert got["said"] == f"{moment['time_s']:g} s: {moment['what'] or 'pool check'}"
    assert sum(got["cells"][1] for got in shown) > 0


def test_the_time_line_is_moved_by_keys_and_its_link_is_restored(opened):
    with opened("?example=stall") as page:
        time = page.get_by_role("slider", name="Moment")
        time.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        assert page.locator("#now").inner_text() == "785 s: ten minutes on"
        assert time.get_attribute("aria-valuetext") == "785 s: ten minutes on"
        assert page.locator("#waiting li").inner_text() == "default/p26, refusals: 121"
        assert "max(0, 0, 0) = 0\nthe pool does not grow" in page.locator("#growth").inner_text()
        page.get_by_role("radio", name="ipam-core").check()
        assert page.locator("#waiting li").count() == 0  # the better policy grows for the pod
        differs = page.locator("#figures tr.differ th").all_inner_texts()
        assert differs[0] == "pods with an address"
        assert "seconds waited, all pods" in differs
        page.keyboard.press("End")
        link = page.url.partition("life")[2]
        with opened(link) as again:
            assert again.get_by_role("radio", name="ipam-core").is_checked()
            assert again.locator("#now").inner_text() == page.locator("#now").inner_text()


def test_an_address_and_a_moment_say_more_under_the_cursor_and_by_focus(opened):
    with opened("?example=cooldown&at=5") as page:
        said = page.locator("#under")
        page.locator("#enis .cooling").first.hover()
        assert said.inner_text().endswith(": cooling, until 280 s")
        page.locator("#under").hover()
        assert said.inner_text().startswith("Point at an address")
        page.locator("#enis [tabindex='0']").focus()
        first = said.inner_text()
        page.keyboard.press("ArrowRight")
        assert said.inner_text() != first
        page.keyboard.press("ArrowDown")
        page.keyboard.press("End")
        assert said.inner_text() == "slot without an address"
        page.locator("#moments button").nth(1).hover()
        assert (
            page.locator("#why-when").inner_text() == "2.5 s: pool check. The pool check decided:"
        )
        assert page.locator("#calls li").first.inner_text() == "CreateNetworkInterface(1)"
        assert page.locator("#now").inner_text() == "250 s: 8 pods end"  # it was not moved
        page.locator("#moments button").nth(1).click()
        assert page.locator("#now").inner_text() == "2.5 s: pool check"
        page.keyboard.press("ArrowDown")
        assert page.locator("#now").inner_text() == "190 s: settle"


def test_it_plays_pauses_and_ends(opened):
    with opened() as page:
        page.locator("a[href*='example=stall']").click()
        page.locator("#heading", has_text="stall: ").wait_for()
        page.locator("#moments button").nth(5).click()
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("document.getElementById('time').value === '6'")
        page.get_by_role("button", name="Pause").click()
        assert page.locator("#now").inner_text() == "792.5 s: pool check"
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("document.getElementById('time').value === '7'")
        page.get_by_role("button", name="Play").wait_for()  # the end: it plays no more


_MOVE_AND_MEASURE = """async () => {
  const time = document.getElementById('time'), took = [];
  for (let n = 0; n <= +time.max; n++) {
    const start = performance.now();
    time.value = n;
    time.dispatchEvent(new Event('input', {bubbles: true}));
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
    took.push(performance.now() - start);
  }
  return took;
}"""

LARGE = """
{id: large, instance_type: m8g.4xlarge, env: {WARM_ENI_TARGET: "1"}, steps: [{op: boot},
{op: add_pods, n: 200}, {op: settle}, {op: del_pods, n: 150}, {op: run, seconds: 60},
{op: settle}]}
"""


def drop(page, name, content):
    page.set_input_files(
        "[data-drop] input",
        {"name": name, "mimeType": "text/plain", "buffer": content.encode()},
    )


def test_a_dropped_scenario_of_232_addresses_is_moved_along(opened):
    with opened() as page:
        drop(page, "large.yaml", LARGE)
        page.locator("#heading", has_text="large: m8g.4xlarge").wait_for()
        took = page.evaluate(_MOVE_AND_MEASURE)
        assert len(took) > 10
        assert not SOAK or statistics.median(took) < 100, took  # ms, where nothing else runs
        assert page.locator("#enis .held").count() == 50


EVIL = "<img src=x onerror=alert(1)>"


def test_markup_in_a_file_is_shown_as_text_and_bad_files_leave_what_is_shown(opened):
    scenario = {
        "id": EVIL,
        "instance_type": "m5.large",
        "env": {},
        "steps": [
            {"op": "preattach", "ips_per_eni": [3]},
            {"op": "checkpoint", "entries": [{"pod": EVIL, "ip": "10.0.0.2"}]},
            {"op": "boot", "label": EVIL},
        ],
        "expect": {"enis": 7},
    }
    with opened() as page:
        drop(page, f"{EVIL}.json", json.dumps([scenario, scenario | {"id": "the other"}]))
        page.locator("#heading", has_text=EVIL).wait_for()
        page.get_by_role("slider").press("End")
        assert EVIL in page.locator("#now").inner_text()
        page.locator("#enis .held").hover()
        assert page.locator("#under").inner_text().endswith(f"held, default/{EVIL}")
        assert "expected 7, met 1" in page.locator("#unmet li").first.inner_text()
        page.get_by_label("Scenario of the file").select_option("the other")
        page.locator("#heading", has_text="the other").wait_for()
        assert page.locator("img").count() == 0
        alert = page.locator("[data-drop] [role=alert]")
        for content, said in (
            ("{instance_type: m5.large, steps: [{op: fly}]}", "unknown op 'fly'"),
            ("{instance_type: m5.large, steps: [{op: detach_eni}, {op: del_pods, n: 0}]}", "n"),
            ("{duration: 1h, nodes: []}", "a fleet"),
            ("[", "neither JSON nor YAML"),
        ):
            drop(page, "bad.yaml", content)
            alert.filter(has_text="bad.yaml: ").filter(has_text=said).wait_for()
            assert page.locator("#heading").inner_text().startswith("the other")
        broken = "{instance_type: m5.large, steps: [{op: boot}, {op: del_pods, which: [4]}]}"
        drop(page, "broken.yaml", broken)
        page.locator(".problem[role=alert]", has_text="4 of 0 running pods").wait_for()


@pytest.mark.parametrize(
    ("width", "scheme", "lang", "name"),
    [(1280, "light", "en", "cooldown"), (390, "dark", "ko", "prefixes")],
)
def test_all_can_use_it(opened, width, scheme, lang, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    view = {"width": width, "height": 900}
    link = f"?example={name}&at=6&lang={lang}"
    with opened(link, viewport=view, color_scheme=scheme) as page:
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("html").get_attribute("lang") == lang
        words = {"en": "Pods that wait", "ko": "대기 중인 파드"}
        assert page.get_by_role("heading", name=words[lang]).is_visible()
        # The thumb of the time line is below the moment that it shows.
        middle = page.evaluate(
            """() => {
              const cursor = document.querySelector('#chart .cursor').getBoundingClientRect();
              const time = document.getElementById('time'), box = time.getBoundingClientRect();
              const thumb = box.left + 8 + (box.width - 16) * time.value / time.max;
              return Math.abs(cursor.left + cursor.width / 2 - thumb);
            }"""
        )
        assert middle < 4
