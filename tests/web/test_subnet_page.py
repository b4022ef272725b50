"""The part `A subnet` of the page in a real browser; its numbers are those of `subnet report`."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from support.browser import served_page, visits
from support.commands import called
from support.soak import SOAK
from support.subnet_account import account, eni, instance, node, pod, subnet

pytest.importorskip("nicegui", reason="the extra web is not installed")

from ipam_core.errors import InputError
from ipam_core.subnet.inventory import inventory_of, read_inventory
from ipam_core.subnet.report import report_on
from ipam_core.web.subnet.asked import Asked
from ipam_core.web.subnet.blocks import blocks_of_nodes as blocks_of
from ipam_core.web.subnet.blocks import gain_of, map_of, range_in

EXAMPLE = Path(__file__).parents[2] / "examples" / "subnet"
FILES = sorted(EXAMPLE.glob("*.json"))
SMALL, LARGE = "subnet-0a11ce00000000022", "subnet-0b0b000000000016"
SCRIPT = "<img src=x onerror=window.ran=1>"


@pytest.fixture(scope="module")
def inventory():
    return read_inventory(FILES)


@pytest.fixture(scope="module")
def small(inventory):
    return report_on(inventory, SMALL)


def choose(page, files):
    """Choose files as with the button; wait until they are read."""
    page.locator("[data-drop] input").first.set_input_files(files)
    page.wait_for_selector("[data-drop]:not([aria-busy])")


def drawn(page, n_blocks):
    page.wait_for_selector(f'[data-drawn="{n_blocks}"]')


def numbers(row):
    return [cell.inner_text() for cell in row.locator("td").all()]


def test_the_numbers_are_those_of_the_report(opened, capsys):
    out = called(capsys, "subnet", "report", *map(str, FILES), "--subnet-id", SMALL, "--json")[1]
    expected = json.loads(out)["subnets"][0]
    advice = expected["advice"]
    with opened("subnet") as page:
        choose(page, FILES)
        drawn(page, 64)
        verdict = page.locator(".verdict").inner_text()
        assert verdict == f"{SMALL} 10.0.0.0/22: fragmentation 81 high"
        assert (expected["score"], expected["band"]) == (81, "high")
        counts = page.locator(".counts").inner_text().split(" · ")
        assert counts == [
            f"{expected['addresses']['used']} addresses used",
            f"{expected['addresses']['free']} free",
            f"{expected['free_prefixes']} free /28s",
            f"longest run of free blocks: {expected['longest_free_run']}",
            f"AvailableIpAddressCount of AWS: {expected['addresses']['free']}",
        ]
        legend = page.locator(".legend li:not([data-key])").all_inner_texts()
        shown = [line.split("\n")[-1] for line in legend]
        assert shown == [
            *(f"{name} {count}" for name, count in expected["blocks"].items() if count),
            "CIDR reservation",
        ]
        page.wait_for_selector("[data-advice]")
        plan = advice["drains"]
        assert page.locator("[data-plan=drains]").inner_text() == (
            f"{plan['won']} /28s by draining {len(plan['nodes'])} of 28 nodes, "
            f"≤ {plan['pods']} pods evicted"
        )
        assert page.locator("#delete").inner_text().splitlines() == advice["deletion"]["commands"]
        assert page.locator("#reserve").inner_text() == advice["reservation"]["command"]
        fits = [numbers(row) for row in page.locator("[data-table=fits] tbody tr").all()]
        names = ("mode", "max_pods", "pods_per_node", "now", "after_deletion", "after_drains")
        names += ("after_reservation", "after_both")
        assert fits == [[str(fit[name]) for name in names] for fit in advice["nodes_that_fit"]]
        owners = [numbers(row) for row in page.locator("[data-table=owners] tbody tr").all()]
        assert owners == [[str(value) for value in each.values()] for each in expected["owners"]]
        # The drains of the advice, ticked: what they win is what the command says.
        page.locator("[data-tick=advised]").click()
        page.wait_for_selector("[data-freed]")
        ticked = page.locator("[name=node]:checked")
        assert sorted(box.input_value() for box in ticked.all()) == plan["nodes"]
        gain = page.locator("[data-freed]").inner_text()
        free = expected["free_prefixes"] + plan["won"]
        assert gain.startswith(
            f"{len(plan['nodes'])} nodes drained: {plan['won']} /28s won, {free} free · "
            f"at most {plan['pods']} pods evicted · "
        )
        page.locator("[data-tick=none]").click()
        page.wait_for_selector("[data-freed]", state="detached")


def test_owners_are_shown_under_the_cursor_and_under_the_focus(opened, small):
    plain = map_of(small)
    with opened("subnet") as page:
        choose(page, FILES)
        drawn(page, 64)
        cell = page.locator("#cell")
        size = page.locator("canvas").bounding_box()["width"] / 16
        page.locator(".map").hover(position={"x": size * 1.5, "y": size / 2})
        assert cell.inner_text().startswith("10.0.0.16/28 · fragmented · 5 of 16 used · ")
        holders = cell.inner_text().split(" · ")[-1].split(", ")
        assert holders == held_by(plain, 1)
        assert len(holders) == 5
        page.locator(".map").focus()
        page.keyboard.press("End")
        assert cell.inner_text().startswith("10.0.3.240/28 · aws-reserved · 5 of 16 used · ")
        assert cell.inner_text().split(" · ")[-1].split(", ") == held_by(plain, 63)
        for key, block in (("Home", 0), ("ArrowRight", 1), ("ArrowDown", 17), ("ArrowLeft", 16),
                           ("ArrowUp", 0), ("PageDown", 63)):  # fmt: skip
            page.keyboard.press(key)
            start = f"10.0.{block // 16}.{block % 16 * 16}/28"
            assert cell.inner_text().startswith(f"{start} · "), key
        page.keyboard.press("Home")
        for _ in range(48):
            page.keyboard.press("ArrowRight")
        assert "CIDR reservation: prefix 10.0.3.0/26" in cell.inner_text()


def held_by(plain, block):
    """Return a block's holders as the page writes them."""
    start, end = plain["starts"][block : block + 2]
    pairs = plain["held"][2 * start : 2 * end]
    return [
        f"{plain['holders'][holder]}: {count}"
        for holder, count in zip(pairs[::2], pairs[1::2], strict=True)
    ]


def test_a_16_is_drawn_at_once_and_stays_usable(opened, inventory):
    report = report_on(inventory, LARGE)
    with opened("subnet") as page:
        choose(page, FILES)
        drawn(page, 64)
        page.locator("[name=win]").fill("0")  # no search for drains
        page.locator("[name=subnet]").select_option(LARGE)
        drawn(page, 4_096)
        assert page.locator(".map *").count() == 1, "one canvas, no element for each cell"
        took = page.evaluate(_HOVER_AND_MEASURE)
        assert not SOAK or took < 100, "ms from a move of the mouse to the next frame"
        drawn_again = page.locator(".map").get_attribute("data-drawn")
        assert drawn_again is None, "a move of the mouse draws one cell, not all"
        node = page.locator("[name=node]").first
        node.check()
        page.wait_for_selector("[data-freed]")
        won = len(gain_of(report, [node.input_value()]).freed)
        assert f"1 nodes drained: {won} /28s won" in page.locator("[data-freed]").inner_text()


_HOVER_AND_MEASURE = """async () => {
  const box = document.querySelector('canvas').getBoundingClientRect(), took = [];
  delete document.querySelector('.map').dataset.drawn;
  for (let at = 1; at < 10; at++) {
    const start = performance.now();
    document.querySelector('.map').dispatchEvent(new MouseEvent('mousemove', {
      clientX: box.left + at * 40, clientY: box.top + at * 40, bubbles: true}));
    await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    took.push(performance.now() - start);
  }
  return took.sort((one, other) => one - other)[4];
}"""


def test_bad_input_is_one_clear_line(opened, tmp_path):
    other = tmp_path / "pods.txt"
    other.write_text("NAME READY")
    with opened("subnet") as page:
        alert = page.locator("[data-drop] [role=alert]")
        for files, why in (
            ([other], "pods.txt: neither JSON nor YAML"),
            ([EXAMPLE / "interfaces.json"], "no subnet in the input; aws ec2 describe-subnets"),
        ):
            choose(page, files)
            alert.filter(has_text=why).wait_for()
            assert "\n" not in alert.inner_text()
        choose(page, FILES)
        drawn(page, 64)
        for name, value, why in (
            ("win", "many", "/28s to win 'many': a number from 0 to 4096"),
            ("instance", "m5.larg", "nearest: m5.large"),
        ):
            field = page.locator(f"[name={name}]")
            before = field.input_value()
            field.fill(value)
            field.press("Enter")
            page.get_by_role("alert").filter(has_text=why).wait_for()
            field.fill(before)
        page.locator("summary").first.click()
        page.get_by_role("button", name="Read from AWS").click()
        page.get_by_role("alert").filter(has_text="no input: give subnet ids").wait_for()
        assert not page.locator("[data-result]").is_visible()


def test_markup_is_shown_as_text(opened, tmp_path):
    evil = eni("evil", 20, tags={})
    evil["NetworkInterfaceId"] = SCRIPT
    odd = account(subnets=[subnet()], enis=[evil])
    odd["Subnets"][0]["SubnetId"] = odd["NetworkInterfaces"][0]["SubnetId"] = SCRIPT
    with opened("subnet") as page:
        choose(page, [{"name": "a.json", "mimeType": "", "buffer": json.dumps(odd).encode()}])
        drawn(page, 16)
        page.locator(".map").focus()
        page.keyboard.press("ArrowRight")
        assert SCRIPT in page.locator("#cell").inner_text()
        assert SCRIPT in page.locator(".verdict").inner_text()
        assert page.locator("[data-result] img").count() == 0
        assert page.evaluate("window.ran") is None


@pytest.mark.parametrize(("width", "scheme", "lang"), [(1280, "light", "en"), (390, "dark", "ko")])
def test_all_can_use_it(opened, width, scheme, lang):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    view = {"width": width, "height": 900}
    with opened(f"subnet?lang={lang}", viewport=view, color_scheme=scheme) as page:
        choose(page, FILES)
        drawn(page, 64)
        page.wait_for_selector("[data-advice]")
        page.locator("[data-tick=advised]").click()
        page.wait_for_selector("[data-freed]")
        page.locator("summary").first.click()
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("html").get_attribute("lang") == lang


@pytest.fixture
def vpc_spec():
    return {"subnets": [{"id": SMALL, "cidr": "10.0.0.0/24"}], "nodes": []}


def test_it_is_read_from_aws(chromium, vpc, tmp_path):
    vpc.ec2.create_network_interface(SubnetId=SMALL)
    with (
        served_page(tmp_path, vpc.environ) as url,
        visits(chromium, url) as opened,
        opened("subnet") as page,
    ):
        page.locator("summary").first.click()
        page.locator("[name=subnet_ids]").fill("subnet-0000000000000dead")
        page.locator("[name=subnet_ids]").press("Enter")
        page.get_by_role("alert").filter(has_text="dead").wait_for()
        page.locator("[name=subnet_ids]").fill(SMALL)
        page.locator("[name=subnet_ids]").press("Enter")
        page.wait_for_selector("[data-drawn]")
        assert f"{SMALL} 10.0.0.0/24" in page.locator(".verdict").inner_text()
        assert page.locator(".counts").inner_text().startswith("1 addresses used")


# --- without a browser --------------------------------------------------------------------


def test_streams_are_read_as_files(inventory):
    given = [(str(path), io.BytesIO(path.read_bytes())) for path in FILES]
    assert inventory_of(given) == inventory
    with pytest.raises(InputError, match=r"x\.json: incomplete JSON: cut off"):
        inventory_of([("x.json", io.BytesIO(b'{"Subnets": ['))])


@pytest.mark.parametrize("name", [SMALL, LARGE])
def test_the_map_has_every_address_in_use(inventory, name):
    report = report_on(inventory, name)
    plain = map_of(report)
    pairs = np.array(plain["held"]).reshape(-1, 2)
    counts = np.add.reduceat(np.append(pairs[:, 1], 0), plain["starts"][:-1])
    counts[np.diff(plain["starts"]) == 0] = 0
    assert counts.tolist() == plain["used"]
    assert counts.sum() == report.n_used + 5
    assert "AWS: 4" in held_by(plain, 0)
    assert "AWS: 1" in held_by(plain, len(counts) - 1)
    of_nodes = {
        node: sum(
            any(f"{node} (" in line for line in held_by(plain, block))
            for block in range(len(plain["used"]))
        )
        for node in report.nodes[:3]
    }
    found = blocks_of(report)
    assert {node: found[node] for node in of_nodes} == of_nodes


def test_a_drain_frees_blocks_of_nodes_alone():
    enis = [eni("n1", 20, instance="i-1"), eni("n2", 36, instance="i-2"), eni("lb", 40)]
    given = json.dumps(
        account(enis=enis, instances=[node("i-1"), node("i-2"), instance("i-3")], pods=[pod(20)])
    )
    report = report_on(inventory_of([("a", io.BytesIO(given.encode()))]), subnet()["SubnetId"])
    both = gain_of(report, ["i-1", "i-2", "unknown"])
    assert (both.nodes, both.freed) == (2, (1,))
    assert both.free_prefixes == report.subnet.n_free_prefixes + 1
    assert gain_of(report, []).freed == ()


def test_ranges_are_counted_in_blocks(small):
    assert range_in(small.subnet, "10.0.3.0/26") == (48, 52)
    for part in ("10.0.3.64/29", "10.0.3.72/29"):
        assert range_in(small.subnet, part) == (52, 53), "part of a block: that block"


@pytest.mark.parametrize("win", ["-1", "x", "4097", "99999", "\u0662", ""])
def test_the_28s_to_win_are_bounded(win):
    with pytest.raises(InputError, match="a number from 0 to 4096"):
        Asked(win=win).wanted()
