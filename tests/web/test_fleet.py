"""The part `A fleet` of the page: runs and results as values, and in a real browser."""

import asyncio
import json

import pytest

from support.commands import called
from support.loops import run_apart
from support.slow_work import dies, endless, refuses

pytest.importorskip("nicegui", reason="the extra web is not installed")

from ipam_core.errors import InputError
from ipam_core.web import work as working
from ipam_core.web.fleet import front, runs, view
from ipam_core.web.fleet.examples import EXAMPLES, example
from ipam_core.web.fleet.words import WORDS
from ipam_core.web.words import words_in
from ipam_core.web.work import work

EN = words_in("en", WORDS)
EVIL = "<img src=x onerror=alert(1)>"
SMALL = """
name: small
duration: 5m
nodes: [{instance_type: m5.large, count: 3, env: {WARM_IP_TARGET: "1"}}]
workloads: [{kind: rolling_update, pods: 20, at: 3m}]
"""
TRACE = "time,node,pod,action\n0,,a,add\n60,,a,remove\n"
WITH_TRACE = SMALL.replace(
    "{kind: rolling_update, pods: 20, at: 3m}", "{kind: csv, file: pods.csv}"
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return what the commands print of a small fleet: of simulate, and of tune."""
    folder = tmp_path_factory.mktemp("fleet")
    file = folder / "small.yaml"
    file.write_text(SMALL)
    return file


@pytest.fixture(scope="module")
def tuned():
    """Return the result of a search with few settings."""
    found = runs.searched({"small.yaml": SMALL.encode()}, lambda _: None)
    return found["tuning"]


# --- values -------------------------------------------------------------------------------


def test_a_run_has_the_numbers_of_simulate(results, capsys):
    shares = []
    found = runs.played({"small.yaml": SMALL.encode()}, shares.append)
    _, out, _ = called(capsys, "simulate", str(results), "--compare", "--json")
    printed = json.loads(out)
    assert found["results"] == [runs.reduced(each) for each in printed]
    assert found["heading"] == "small: 3 m5.large, 5m, seed 0"
    assert runs.read_result("out.json", out.encode())["results"] == found["results"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    first = found["results"][0]
    assert first["pods"] == printed[0]["pods"] > 20
    assert [each["policy"] for each in found["results"]] == ["vpc-cni", "ipam-core"]


@pytest.mark.parametrize("policy", ["vpc-cni", "ipam-core"])
def test_a_search_has_the_numbers_of_tune(results, capsys, policy):
    found = runs.searched({"small.yaml": SMALL.encode()}, lambda _: None, policy=policy)
    _, out, _ = called(capsys, "tune", str(results), "--policy", policy, "--json")
    assert json.loads(out) == json.loads(json.dumps(found["tuning"]))


def test_the_curve_of_waits_is_the_share_that_waits_longer():
    assert runs.curve([], 0) == []
    assert runs.curve([0.0, 0.0], 0) == [(0.0, 0.0)]
    assert runs.curve([5.0, 0.0, 5.0], 1) == [(0.0, 0.75), (5.0, 0.25)]
    many = runs.curve([float(n) for n in range(10_000)], 0)
    assert len(many) < 500
    for wait_s, left in many[1:]:
        assert left == pytest.approx((9_999 - wait_s) / 10_000)
    assert many[-1] == (9_999.0, 0.0)


def test_a_csv_is_dropped_with_its_fleet_and_no_file_of_the_server_is_read(tmp_path):
    fleet = {"fleet.yaml": WITH_TRACE.encode(), "pods.csv": TRACE.encode()}
    spec = runs.fleet_in(fleet)
    assert len(spec.workloads[0].events) == 2
    secret = tmp_path / "secret.csv"
    secret.write_text(TRACE)
    for name in (str(secret), "../secret.csv", "pods.csv", "fleet.yaml"):
        content = WITH_TRACE.replace("pods.csv", name).encode()
        with pytest.raises(InputError, match="drop it together with the fleet"):
            runs.fleet_in({"fleet.yaml": content})
    with pytest.raises(InputError, match=r"fleet.yaml: workloads 1 \(csv\): pods.csv: line 1 is"):
        runs.fleet_in({**fleet, "pods.csv": b"x"})
    with pytest.raises(InputError, match="not 2 of them"):
        runs.fleet_in({"a.yaml": b"", "b.yaml": b""})
    with pytest.raises(InputError, match="A node's life"):
        runs.fleet_in({"a.yaml": b"{instance_type: m5.large, steps: [{op: boot}]}"})


@pytest.mark.parametrize(
    "change",
    [
        {"waits_s": [EVIL]},
        {"pods": EVIL},
        {"times_s": []},
        {"series": {}},
        {"wait_s": {"p50": float("nan")}},
        {"refusals": [1]},
        {"mean": {"nodes": float("inf")}},
        {"waits_s": [-2.0]},
        {"waits_s": [1e308]},
        {"pods_still_waiting": -1},
        {"refusals": {"x": 10**400}},
        {"duration_s": True, "times_s": [2, 1]},
    ],
)
def test_a_result_that_is_none_is_refused(change):
    found = runs.played({"small.yaml": SMALL.replace("5m", "200s").encode()}, lambda _: None)
    good = {**found["results"][0], "waits_s": [0.0], "series": found["results"][0]["series"]}
    assert runs.read_result("r.json", json.dumps(good).encode())
    with pytest.raises(InputError, match=r"r\.json: no result of simulate"):
        runs.read_result("r.json", json.dumps(good | change).encode())


def test_files_that_are_no_result_are_told_apart():
    assert runs.read_result("fleet.yaml", SMALL.encode()) is None
    assert runs.read_result("fleet.json", b'{"nodes": []}') is None
    with pytest.raises(InputError, match="result of a scenario"):
        runs.read_result("r.json", b'[{"timeline": []}]')
    with pytest.raises(InputError, match="no result of tune"):
        runs.read_result("r.json", b'{"schema": "tuning/1"}')


def test_every_point_of_a_front_has_its_settings_and_its_command(tuned):
    points = front.points_of(tuned)
    assert [each["role"] for each in points].count("recommended") == 1
    assert points[-1]["role"] == "today"
    html = front.tuned({"heading": "x", "max_pods": [], "tuning": tuned}, "", EN)
    for number, each in enumerate(points):
        panel = html.split(f'id="point-{number}"')[1].split("</section>")[0]
        for name, value in each["env"].items():
            assert f"{name}={value}" in panel
        command = front.kubectl(tuned["today"]["env"], each["env"])
        assert (command or EN["is_today"]) in panel
    assert front.kubectl({"WARM_IP_TARGET": "1"}, {"WARM_ENI_TARGET": "1;reboot"}) == (
        "kubectl -n kube-system set env ds/aws-node 'WARM_ENI_TARGET=1;reboot' WARM_IP_TARGET-"
    )


def test_a_setting_that_leaves_pods_waiting_is_at_the_edge(tuned):
    never = {**tuned["today"], "wait_p99_s": None}
    html = front.tuned(
        {"heading": "x", "max_pods": [], "tuning": {**tuned, "today": never}}, "", EN
    )
    assert html.count("for ever") > len(tuned["front"])  # in the picture, and each table
    assert "No settings are within" in front.tuned(
        {"heading": "x", "max_pods": [], "tuning": {**tuned, "recommended": None}}, "", EN
    )


def test_markup_is_shown_as_text(tuned):
    outcome = {**tuned["today"], "env": {"WARM_IP_TARGET": EVIL}}
    evil = {**tuned, "today": outcome, "front": [outcome], "today_warnings": [EVIL]}
    evil["put_aside"] = [{"outcome": outcome, "why": EVIL}]
    html = front.tuned({"heading": EVIL, "max_pods": [EVIL], "tuning": evil}, EVIL, EN)
    result = runs.played({"small.yaml": SMALL.encode()}, lambda _: None)["results"][0]
    for key in ("policy", "name"):
        result[key] = EVIL
    result["refusals"] = {EVIL: 1}
    result["subnets"] = {EVIL: result["subnets"]["subnet"]}
    html += view.simulated({"heading": EVIL, "max_pods": [EVIL], "results": [result]}, EVIL, EN)
    html += view.progress(EVIL, 0.5)
    assert "<img" not in html
    assert html.count("&lt;img") > 15
    assert all(english and korean for english, korean in WORDS.values())


def test_the_examples_are_fleets():
    for name in EXAMPLES:
        assert runs.fleet_in({f"{name}.yaml": example(name)}).name


# --- work in another process --------------------------------------------------------------


def test_work_is_ended_when_nobody_waits_and_bounded():
    async def cancelled():
        seen = asyncio.Event()
        task = asyncio.create_task(
            work(endless, longest_s=60, on_progress=lambda share: share and seen.set())
        )
        await asyncio.wait_for(seen.wait(), 60)  # it runs, and this loop is not blocked
        other = asyncio.create_task(work(endless, longest_s=0))
        with pytest.raises(InputError, match="longer than 0 s"):
            await other
        more = [asyncio.create_task(work(endless, longest_s=60)) for _ in range(2)]
        done, _ = await asyncio.wait(more, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(InputError, match="2 simulations run already"):
            await done.pop()
        for each in (task, *more):
            each.cancel()
        await asyncio.gather(task, *more, return_exceptions=True)

    run_apart(cancelled())
    assert working._n_running == 0
    with pytest.raises(InputError, match="no pod"):
        run_apart(work(refuses, "pod", longest_s=60))
    with pytest.raises(InputError, match="was killed"):
        run_apart(work(dies, longest_s=60))
    assert working._n_running == 0


# --- the browser --------------------------------------------------------------------------


def drop(page, *files):
    page.locator("[data-drop] input").first.set_input_files(
        [{"name": n, "mimeType": "text/plain", "buffer": c.encode()} for n, c in files]
    )


def test_a_dropped_fleet_is_played_under_both_policies(opened, results, capsys):
    _, out, _ = called(capsys, "simulate", str(results), "--compare", "--json")
    both = json.loads(out)
    with opened("fleet") as page:
        page.locator("progress").wait_for()  # of the example
        page.locator("[data-cancel]").click()
        page.get_by_text("Cancelled.").wait_for()
        drop(page, ("small.yaml", SMALL))
        page.locator("#heading", has_text="small: 3 m5.large").wait_for()
        cells = [
            row.locator("td").all_inner_texts() for row in page.locator("#whole tbody tr").all()
        ]
        assert cells[0] == [f"{each['pods']:,}" for each in both]
        assert cells[5] == [f"{each['wait_s']['p99']:.1f}" for each in both]
        causes = page.locator("#causes tbody tr")
        assert causes.count() == len({cause for each in both for cause in each["refusals"]})
        moment = page.get_by_role("slider", name="Moment")
        moment.press("End")
        last = page.locator("#at-moment tr[data-series=total] td").all_inner_texts()
        assert last == [f"{each['series']['total'][-1]:,}" for each in both]
        moment.press("Home")
        assert page.locator("#moment-time").inner_text() == "0.0 min"
        page.locator("svg[data-places]").first.hover()
        assert page.locator("#moment-time").inner_text() != "0.0 min"
        page.locator("[data-run=tune-ipam-core]").click()
        command = "ipam-core tune small.yaml --policy ipam-core --json"
        page.locator("pre", has_text=command).wait_for()
        drop(page, ("bad.yaml", "{duration: 1h, nodes: []}"))
        page.locator(".problem", has_text="bad.yaml: nodes is a list").wait_for()


def test_a_point_of_a_dropped_front_is_clicked_and_chosen_by_keys(opened, tuned):
    points = front.points_of(tuned)
    with opened("fleet") as page:
        drop(page, ("tune.json", json.dumps(tuned)))
        page.locator("#front").wait_for()
        best = next(n for n, each in enumerate(points) if each["role"] == "recommended")
        assert page.locator("#panels section:visible").get_attribute("id") == f"point-{best}"
        page.locator("#front [data-point='0']").dispatch_event("click")
        assert page.locator("#panels section:visible").get_attribute("id") == "point-0"
        shown = page.locator("#panels section:visible").inner_text()
        command = front.kubectl(tuned["today"]["env"], points[0]["env"])
        assert (command or EN["is_today"]) in shown.replace("\n", " ")
        page.locator(f"#points [data-point='{best}']").focus()
        page.keyboard.press("Enter")
        assert page.locator("#panels section:visible").get_attribute("id") == f"point-{best}"
        pressed = page.locator("[data-point][aria-pressed=true]")
        assert pressed.count() == 2  # in the picture, and in the table
        drop(page, ("r.json", '{"schema": "tuning/1"}'))
        page.locator("[data-drop] [role=alert]", has_text="no result of tune").wait_for()
        assert page.locator("#front").is_visible()


@pytest.mark.parametrize(("width", "scheme", "lang"), [(1280, "light", "en"), (390, "dark", "ko")])
def test_all_can_use_it(opened, tuned, results, capsys, width, scheme, lang):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    view_port = {"width": width, "height": 900}
    _, out, _ = called(capsys, "simulate", str(results), "--compare", "--json")
    with opened(f"fleet?lang={lang}", viewport=view_port, color_scheme=scheme) as page:
        for name, content in (("s.json", out), ("t.json", json.dumps(tuned))):
            drop(page, (name, content))
            page.locator("#at-moment" if name == "s.json" else "#front").wait_for()
            found = axe.Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") == width
