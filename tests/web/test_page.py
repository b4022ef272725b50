"""The page in a real browser, used as a person would."""

import json
import re
import shlex
import socket
import statistics
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from support.commands import called
from support.soak import SOAK

pytest.importorskip("nicegui", reason="the extra web is not installed")

STALL = "?instance=m8g.4xlarge&MINIMUM_IP_TARGET=25"


def searched(page):
    """Wait until the page shows what was found."""
    page.wait_for_selector("[aria-busy=false] #findings")


LINKS = [
    STALL + "&WARM_IP_TARGET=2&maxPods=60",
    STALL + "&instance2=m5.large",
    "?instance=t3.small&ENABLE_PREFIX_DELEGATION=true&WARM_IP_TARGET=2&policy=ipam-core",
    "?instance=m5.large&AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true&ENABLE_POD_ENI=true",
]


@pytest.mark.parametrize("link", LINKS)
def test_the_numbers_are_those_of_explain(opened, capsys, link):
    with opened(link) as page:
        at_once = page.get_by_role("status").inner_text()
        searched(page)
        command = shlex.split(page.locator("#command").inner_text())
        _, out, _ = called(capsys, *command[1:], "--json")
        found = json.loads(out)
        nodes = found["nodes"]
        verdicts = [f"{each['instance_type']}: {each['verdict']['text']}" for each in nodes]
        assert re.split(r"\n+", at_once) == verdicts
        assert re.split(r"\n+", page.get_by_role("status").inner_text()) == verdicts
        shown = page.locator(".finding b").all_inner_texts()
        expected = {each["identifier"] for node in nodes for each in node["findings"]}
        assert {each for each in shown if "-" in each} == expected
        assert (page.locator("#together").count() == 1) == (found["together"] is not None)
        fixes = {
            text
            for node in nodes
            for each in node["findings"]
            for text in (each["fix"] or {}).get("commands", ())
        }
        assert fixes <= set(page.locator(".finding pre").all_inner_texts())
        for node, picture, table in zip(
            nodes,
            page.locator("svg[role=img]").all(),
            page.get_by_role("region").all(),
            strict=True,
        ):
            assert picture.locator(".area").get_attribute("d") == drawn(node)
            cells = table.locator("tbody td").all_inner_texts()
            assert " ".join(cells).split() == printed(capsys, command, node["instance_type"])


def drawn(node):
    """Return the stairs that the numbers of `explain --json` are."""
    most = max([node["verdict"]["n_pods"], *(each["addresses"] for each in node["up"])])
    ends = [each["pods"][1] for each in node["up"]]
    starts = [0, *ends[:-1]]

    def x(pods):
        return round(52 + pods / node["verdict"]["n_pods"] * (720 - 52 - 16), 1)

    path = f"M{x(0)},262"
    for start, end, each in zip(starts, ends, node["up"], strict=True):
        y = round(262 - each["addresses"] / most * (262 - 26), 1)
        path += f"L{x(start)},{y}L{x(end)},{y}"
    return f"{path}L{x(ends[-1])},262Z"


def printed(capsys, command, name):
    """Return the words of the table that `explain` prints for one type."""
    options = next(n for n, word in enumerate(command) if word == "-e")
    _, out, _ = called(capsys, "explain", name, *command[options:])
    table = re.search(r"─+ *\n(.*?)\n *\nmaxPods|─+ *\n(.*?)\n *\n\w+  [a-z-]+\n", out, re.S)
    return [word for word in " ".join(filter(None, table.groups())).split() if word != "back"]


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
        page.get_by_role("link", name="Undo").click()
        page.wait_for_selector("[data-fix=minimum-without-warm]")
        with opened(f"?{link}") as again:  # the link restores it in another browser
            again.wait_for_selector("#compared")
            assert again.locator("[name=WARM_IP_TARGET]").input_value() == "10"


def test_moving_a_control_updates_the_page_and_its_link_before_anything_is_searched(opened):
    with opened(STALL) as page:
        searched(page)
        page.evaluate(_WATCH)
        page.locator("[name=MINIMUM_IP_TARGET]").fill("33")
        page.wait_for_function("document.querySelector('#command').textContent.endsWith('=33')")
        searched(page)
        first, *_, last = page.evaluate("seen")
        for each in (first, last):  # verdict, picture and table in one update
            assert "stalls at pod 34 " in each["verdict"]
            assert "pod 34 waits for ever" in each["picture"]
            assert each["table"].startswith("0-33")
        assert (first["busy"], last["busy"]) == ("true", "false")
        assert page.url.endswith("MINIMUM_IP_TARGET=33")
        assert page.evaluate("document.querySelector('[inert]')") is None


@pytest.mark.skipif(not SOAK, reason="measures time: IPAM_CORE_SOAK=1, where nothing else runs")
@pytest.mark.parametrize("more", ["", "&WARM_IP_TARGET=2"])
def test_a_moved_control_is_shown_in_a_tenth_of_a_second(opened, more):
    with opened(f"?instance=m8g.4xlarge&MINIMUM_IP_TARGET=25{more}") as page:
        searched(page)
        took_ms = page.evaluate(_MOVE_AND_MEASURE)
        print(took_ms)
        assert len(took_ms) == 9
        assert statistics.median(took_ms) < 100


_MOVE_AND_MEASURE = """async () => {
  const field = document.querySelector('[name=MINIMUM_IP_TARGET]'), took = [];
  for (let value = 26; value < 35; value++) {
    const start = performance.now();
    field.value = value;
    field.dispatchEvent(new Event('input', {bubbles: true}));
    while (!document.querySelector('#command').textContent.includes(`MINIMUM_IP_TARGET=${value}`))
      await new Promise(done => setTimeout(done, 1));
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
    took.push(performance.now() - start);
    await new Promise(done => setTimeout(done, 1500));
  }
  return took;
}"""


_WATCH = """() => {
  const text = css => document.querySelector(css)?.textContent;
  window.seen = [];
  new MutationObserver(() => seen.push({
    verdict: text('[role=status]'), picture: text('svg[role=img]'), table: text('tbody'),
    busy: document.querySelector('[aria-busy]').getAttribute('aria-busy'),
  })).observe(document.querySelector('.columns'), {subtree: true, childList: true});
}"""


def test_moves_that_follow_at_once_are_searched_once(opened):
    with opened(STALL) as page:
        searched(page)
        page.evaluate(_WATCH)
        field = page.locator("[name=MINIMUM_IP_TARGET]")
        for value in range(40, 50):
            field.fill(str(value))
        page.wait_for_function("document.querySelector('#command').textContent.endsWith('=49')")
        searched(page)
        assert page.get_by_role("status").inner_text().startswith("m8g.4xlarge: stalls at pod 50")
        states = [each["busy"] for each in page.evaluate("seen")]
        assert states == sorted(states, reverse=True), "found once, after the last move"


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
        assert page.locator("[inert] #command").count() == 1  # an answer to what is not asked
        page.locator("[name=maxPods]").fill("20")
        alert.wait_for(state="detached")
        searched(page)
        assert page.locator("[inert]").count() == 0
        assert page.locator("img[onerror]").count() == 0


def test_types_are_compared_and_the_policy_chosen(opened):
    with opened("?instance=m5.large&WARM_IP_TARGET=2") as page:
        searched(page)
        assert page.locator("[list=types]:visible").count() == 2  # one more at a time
        page.locator("[name=instance2]").fill("t3.small")
        page.wait_for_selector("svg[role=img] >> nth=1")
        assert page.locator("[list=types]:visible").count() == 3
        searched(page)
        page.get_by_role("link", name="Compare with this").click()
        page.wait_for_selector("#compared")
        page.get_by_label("Rules of the agent").select_option("ipam-core")
        page.wait_for_selector("#compared table")
        names = page.locator("#compared p b").all_inner_texts()
        assert names == ["m5.large", "t3.small"]
        assert page.locator("#command").inner_text().endswith("--policy ipam-core")
        page.get_by_role("link", name="Stop comparing").click()
        page.wait_for_selector("#pin")
        assert page.get_by_label("Rules of the agent").input_value() == "ipam-core"
        assert page.locator("[name=instance2]").input_value() == "t3.small"


def test_each_form_can_be_copied(opened):
    with opened(STALL + "&lang=ko", permissions=["clipboard-read", "clipboard-write"]) as page:
        page.wait_for_selector("#command")
        for name in ("kubectl", "helm", "addon", "command"):
            button = page.locator(f"[data-copy={name}]")
            button.focus()
            page.keyboard.press("Enter")
            page.wait_for_function("b => b.textContent === '복사됨'", arg=button.element_handle())
            copied = page.evaluate("navigator.clipboard.readText()")
            assert copied == page.locator(f"#{name}").inner_text()


@pytest.mark.parametrize(("width", "scheme", "lang"), [(1280, "light", "en"), (390, "dark", "ko")])
def test_all_can_use_it(opened, width, scheme, lang):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    view = {"width": width, "height": 900}
    with opened(f"{STALL}&lang={lang}", viewport=view, color_scheme=scheme) as page:
        searched(page)
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


def test_no_file_is_served(url):
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

    status, page = got("/")
    assert status == 200
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
