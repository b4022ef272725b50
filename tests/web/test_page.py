"""The page in a real browser, used as a person would."""

import json
import re
import socket
import statistics
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from support.browser import browser, served_page
from support.commands import called

pytest.importorskip("nicegui", reason="the extra web is not installed")

STALL = "?instance=m8g.4xlarge&MINIMUM_IP_TARGET=25"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    with served_page(folder) as address:
        yield address
    assert list(folder.iterdir()) == [], "the server writes no file"


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def opened(chromium, url):
    """Open a link; at the end no page has written an error, nor asked another server."""
    troubles = []

    @contextmanager
    def opened(link, **options):
        context = chromium.new_context(**options)
        page = context.new_page()
        page.on("console", lambda each: each.type == "error" and troubles.append(each.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda each: each.url.startswith(url) or troubles.append(each.url))
        page.goto(url + link)
        yield page
        context.close()

    yield opened
    assert [each for each in troubles if not each.startswith(("data:", "ws:"))] == []


def numbers(page):
    """Return the rows of the page's table."""
    rows = page.locator("[role=region] tbody tr").all()
    return [[cell.inner_text() for cell in row.locator("td").all()] for row in rows]


def test_the_numbers_are_those_of_explain(opened, capsys):
    with opened(STALL + "&WARM_IP_TARGET=2&maxPods=60") as page:
        page.wait_for_selector("#command")
        command = page.locator("#command").inner_text().split()
        _, out, _ = called(capsys, *command[1:], "--json")
        node = json.loads(out)["nodes"][0]
        assert page.get_by_role("status").inner_text() == f"m8g.4xlarge: {node['verdict']['text']}"
        expected = [
            [
                "-".join(map(str, dict.fromkeys(each["pods"]))),
                str(each["enis"]),
                str(each["addresses"]),
                "-".join(map(str, dict.fromkeys(each["free"]))),
                ", ".join(f"{name} {n}" for name, n in each["ec2_calls"].items()),
            ]
            for each in node["up"]
        ]
        assert numbers(page) == expected
        shown = page.locator(".finding b").all_inner_texts()
        assert shown == [each["identifier"] for each in node["findings"]]


def test_a_fix_is_applied_by_the_keyboard_compared_and_undone(opened):
    with opened(STALL) as page:
        assert "pod 26 waits for ever" in page.locator("svg[role=img]").text_content()
        fix = page.locator("[data-fix=minimum-without-warm]")
        fix.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#compared")
        assert "serves all 232 pods" in page.get_by_role("status").inner_text()
        assert page.locator("[name=WARM_IP_TARGET]").input_value() == "10"
        row = page.locator("#compared tbody tr").first.locator("td").all_inner_texts()
        assert row == ["verdict", "stalls at pod 26 with 207 slots unused", "serves all 232 pods"]
        link = urlsplit(page.url).query
        page.locator("#compared a").click()
        page.wait_for_selector("[data-fix=minimum-without-warm]")
        with opened(f"?{link}") as again:  # the link restores it in another browser
            again.wait_for_selector("#compared")
            assert again.locator("[name=WARM_IP_TARGET]").input_value() == "10"


def test_moving_a_control_updates_the_page_and_its_link_at_once(opened):
    with opened(STALL) as page:
        page.wait_for_selector("#command")
        took = page.evaluate(_MOVE_AND_MEASURE)
        assert len(took) == 9
        assert statistics.median(took) < 100, took
        page.wait_for_function("document.querySelector('#command').textContent.endsWith('=33')")
        assert "MINIMUM_IP_TARGET=33" in page.url


_MOVE_AND_MEASURE = """async () => {
  const status = () => document.querySelector('[role=status]').textContent;
  const field = document.querySelector('[name=MINIMUM_IP_TARGET]');
  const took = [];
  for (let value = 25; value < 34; value++) {
    const wanted = `stalls at pod ${value + 1} `;
    field.value = value === 25 ? 24 : value;
    const start = performance.now();
    if (value === 25) field.value = 34;
    field.dispatchEvent(new Event('input', {bubbles: true}));
    const text = value === 25 ? 'stalls at pod 35 ' : wanted;
    while (!status().includes(text)) await new Promise(done => setTimeout(done, 2));
    took.push(performance.now() - start);
    await new Promise(done => setTimeout(done, 250));
  }
  return took;
}"""


def test_bad_input_and_markup_are_shown_as_text(opened):
    with opened("?instance=<img src=x onerror=alert(1)>") as page:
        alert = page.get_by_role("alert")
        alert.wait_for()
        assert "<img src=x onerror=alert(1)>" in alert.inner_text()
        page.locator("[name=instance]").fill("m5.large")
        page.wait_for_selector("#command")
        page.locator("[name=maxPods]").fill("many")
        alert.wait_for()
        assert re.search(r"maxPods 'many': a number from 1 to 2000", alert.inner_text())
        assert page.locator("img[onerror]").count() == 0


@pytest.mark.parametrize(("width", "scheme", "lang"), [(1280, "light", "en"), (390, "dark", "ko")])
def test_all_can_use_it(opened, width, scheme, lang):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    view = {"width": width, "height": 900}
    with opened(f"{STALL}&lang={lang}", viewport=view, color_scheme=scheme) as page:
        page.wait_for_selector("#command")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("html").get_attribute("lang") == lang
        words = {"en": "Findings", "ko": "발견된 문제"}
        assert page.get_by_role("heading", name=words[lang]).is_visible()
        page.get_by_role("link", name={"en": "한국어", "ko": "English"}[lang]).click()
        other = {"en": "ko", "ko": "en"}[lang]
        page.wait_for_selector(f"html[lang={other}] #command")
        assert page.locator("[name=MINIMUM_IP_TARGET]").input_value() == "25"


def test_a_theme_is_chosen_by_the_keyboard_and_kept(opened):
    with opened(STALL, color_scheme="dark") as page:
        background = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(background)
        button = page.get_by_role("button", name="Light")
        button.focus()
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        light = page.evaluate(background)
        assert light != dark
        page.reload()
        page.wait_for_selector("[aria-pressed=true]")
        assert page.evaluate(background) == light
        pressed = page.locator("[aria-pressed=true]").all_inner_texts()
        assert pressed == ["Light"]
        page.get_by_role("button", name="System").click()
        assert page.evaluate(background) == dark


def test_every_part_is_a_page_with_links_to_the_others_in_its_language(opened):
    from ipam_core.web.frame import PARTS

    for path, (_, name) in PARTS.items():
        with opened(f"{path[1:]}?lang=ko") as page:
            links = page.get_by_role("navigation").get_by_role("link")
            links.first.wait_for()
            assert [each.get_attribute("href") for each in links.all()] == [
                f"{each}?lang=ko" for each in PARTS
            ]
            assert page.locator("nav [aria-current=page]").all_inner_texts() == [name]


def test_the_link_of_the_language_keeps_what_was_changed(opened):
    with opened(STALL) as page:
        page.wait_for_selector("#command")
        page.locator("[name=MINIMUM_IP_TARGET]").fill("30")
        page.wait_for_url("**MINIMUM_IP_TARGET=30**")
        page.get_by_role("link", name="한국어").click()
        page.wait_for_selector("html[lang=ko] #command")
        assert page.locator("[name=MINIMUM_IP_TARGET]").input_value() == "30"


def test_first_page_is_quick_and_no_file_is_served(url):
    place = urlsplit(url)

    def got(path, **headers):
        connection = HTTPConnection(place.hostname, place.port, timeout=10)
        try:
            connection.putrequest("GET", path, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    start = time.perf_counter()
    status, page = got("/")
    assert status == 200
    assert time.perf_counter() - start < 1
    static = re.search(rb"/_nicegui/[^/]+/", page)[0].decode()
    for path in ("../" * 12, "..%2f" * 12, "%2e%2e/" * 12, "/"):
        for start_of in ("/", static + "static/", static + "components/"):
            status, body = got(f"{start_of}{path}etc/passwd")
            assert status in (200, 400, 404)
            assert b"root:" not in body
    assert got("/docs")[0] == got("/openapi.json")[0] == 404
    assert got("/", Host="attacker.example")[0] == 403
    with pytest.raises(ConnectionRefusedError):  # on the loopback alone
        socket.create_connection((_other_address(), place.port), timeout=1).close()


def _other_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but the loopback")
        found = probe.getsockname()[0]
    if found.startswith("127."):
        pytest.skip("this machine has no address but the loopback")
    return found
