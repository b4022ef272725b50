"""The part `doctor` of the page in a real browser: files are dropped, and read as `doctor` does."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from support.commands import called

pytest.importorskip("nicegui", reason="the extra web is not installed")

from ipam_core.diagnosis.inputs.collect import read_case, read_streams
from ipam_core.errors import InputError
from ipam_core.web.doctor import shown
from ipam_core.web.doctor.asked import Asked
from ipam_core.web.doctor.words import WORDS
from ipam_core.web.markup import text as as_text
from ipam_core.web.words import words_in

STUCK = Path(__file__).parents[2] / "examples" / "stuck-node"
CASES = Path(__file__).parents[1] / "doctor" / "cases"
SCRIPT = "<script>window.ran=1</script><img src=x onerror=window.ran=1>"


def choose(page, files):
    """Choose files as with the first button; wait until they are read."""
    page.locator("[data-drop] input").first.set_input_files(files)
    page.wait_for_selector("[data-drop]:not([aria-busy])")


def diagnosed(capsys, *paths):
    """Return what `doctor --json` prints."""
    return json.loads(called(capsys, "doctor", *map(str, paths), "--json")[1])


def rows(table):
    return [
        [cell.inner_text() for cell in row.locator("th, td").all()]
        for row in table.locator("tbody tr").all()
    ]


def test_a_bundle_gives_what_doctor_prints(opened, capsys):
    expected = diagnosed(capsys, STUCK)
    with opened("doctor") as page:
        choose(page, sorted(STUCK.iterdir()))
        assert page.locator(".verdict").inner_text() == expected["verdict"]
        line = page.locator("[data-node]").inner_text()
        assert line.startswith(f"{expected['node']}, m8g.4xlarge, agent v1.20.1, maxPods 234")
        assert line.endswith("25 addresses: 25 assigned, 0 cooling, 0 to give")
        cause, found = page.locator(".cause"), expected["found"][0]
        assert cause.get_attribute("data-cause") == found["cause"]
        assert cause.locator("h2").inner_text() == f"certain{found['title']}"
        assert cause.locator("pre.why").inner_text().splitlines() == found["rule"]
        assert rows(cause.locator("table.evidence")) == [
            [f"{each['file']}:{each['line']}", each["value"], each["time"]]
            for each in found["evidence"]
        ]
        assert cause.locator(".command pre").all_inner_texts() == found["fix"]["commands"]
        was, will = found["prognosis"]["as_it_is"], found["prognosis"]["with_fix"]
        assert [row[1:] for row in rows(cause.locator("table").last)] == [
            [str(was["waiting"]), str(will["waiting"])],
            [str(was["running"]), str(will["running"])],
            ["not in 10 min", f"{will['served_after_s']:g} s"],
            [str(was["total"]), str(will["total"])],
            [str(was["enis"]), str(will["enis"])],
            ["-", ", ".join(will["requests"])],
            ["", str(found["prognosis"]["serves"])],
        ]
        page.locator("[data-judged=ruled_out] summary").click()
        ruled_out = page.locator("[data-judged=ruled_out] li").all_inner_texts()
        assert {
            cause: line.rpartition(named)[2].removeprefix(": ")
            for line in ruled_out
            for named in [line.split(": ", 1)[0]]
            for cause in named.split(", ")
        } == expected["ruled_out"]
        assert page.locator("[data-list=notes] li").all_inner_texts() == expected["notes"]


def test_an_archive_is_dropped_with_the_mouse(opened, capsys, tmp_path):
    archive = tmp_path / "node.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(STUCK, "bundle")
    expected = diagnosed(capsys, archive)
    with opened("doctor") as page:
        page.evaluate(_DROP, ["node.tar.gz", list(archive.read_bytes())])
        page.wait_for_selector(".cause")
        places = page.locator("td.place").all_inner_texts()
        assert places == [
            f"{each['file']}:{each['line']}" for each in expected["found"][0]["evidence"]
        ]
        assert places[0].startswith("bundle/")


_DROP = """([name, bytes]) => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([new Uint8Array(bytes)], name));
  const zone = document.querySelector('[data-drop]');
  for (const kind of ['dragenter', 'dragover', 'drop'])
    zone.dispatchEvent(new DragEvent(kind, {dataTransfer: dropped, bubbles: true}));
}"""


def test_what_is_not_read_is_named_and_the_fields_add_what_is_missing(opened, tmp_path):
    other = tmp_path / "photo.png"
    other.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    with opened("doctor") as page:
        with page.expect_file_chooser() as chooser:  # by the keyboard alone
            page.keyboard.press("Tab")
            while page.evaluate("document.activeElement.type") != "file":
                page.keyboard.press("Tab")
            page.keyboard.press("Enter")
        chooser.value.set_files([*sorted((CASES / "enis-flat").iterdir()), other])
        page.wait_for_selector(".verdict")
        unread = page.locator("[data-list=not_read] li").inner_text()
        assert unread == "photo.png: a picture; give the text it shows"
        instance = page.locator("[name=instance]")
        instance.fill("m8g.4xlarg")
        instance.press("Enter")
        page.wait_for_selector("[data-result] [role=alert]")
        assert "nearest: m8g.4xlarge" in page.locator("[data-result]").inner_text()
        instance.fill("m8g.4xlarge")
        instance.press("Enter")
        page.wait_for_selector(".cause table")
        assert "m8g.4xlarge" in page.locator("[data-node]").inner_text()
        assert page.locator("td", has_text="232").count() == 1


def test_bad_files_are_one_clear_line(opened, tmp_path):
    with opened("doctor") as page:
        alert = page.locator("[data-drop] [role=alert]")

        def refused(*files):
            choose(page, files)
            alert.filter(has_text=" ").wait_for()
            return alert.inner_text()

        page.locator("[data-drop] input").first.set_input_files(sorted(STUCK.iterdir()))
        page.wait_for_selector(".cause")
        bomb = tmp_path / "ipamd.log.gz"
        bomb.write_bytes(b"\x1f\x8b\x08damaged")
        assert refused(bomb).startswith("ipamd.log.gz: not read: damaged: ")
        assert page.locator(".cause").count() == 0, "the diagnosis of other files is gone"
        assert refused(STUCK / "aws-node.yaml").startswith("aws-node.yaml: settings alone")
        large = tmp_path / "large.log"
        with large.open("wb") as file:
            file.truncate(256_000_001)
        assert refused(large) == "257 MB in all: at most 256 MB"


def test_markup_in_a_pods_name_is_shown_as_text(opened):
    with opened("doctor") as page:
        events = (STUCK / "events.json").read_text().replace("web-6d5f8c7b9-q2x7k", SCRIPT)
        named = {"name": f"{SCRIPT}.json".replace("/", ":"), "mimeType": "", "buffer": b""}
        choose(page, [{**named, "buffer": events.encode()}])
        page.wait_for_selector(".verdict")
        shown = page.locator("[data-result]").inner_text()
        assert f"FailedCreatePodSandBox {SCRIPT}" in shown
        assert named["name"] in shown
        assert page.locator("[data-result] :is(script, img)").count() == 0
        assert page.evaluate("window.ran") is None


@pytest.mark.parametrize(("width", "scheme", "lang"), [(1280, "light", "en"), (390, "dark", "ko")])
def test_all_can_use_it(opened, width, scheme, lang):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    view = {"width": width, "height": 900}
    with opened(f"doctor?lang={lang}", viewport=view, color_scheme=scheme) as page:
        choose(page, sorted(STUCK.iterdir()))
        page.wait_for_selector(".cause")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("html").get_attribute("lang") == lang
        heading = {"en": "What to do", "ko": "조치"}[lang]
        assert page.get_by_role("heading", name=heading, exact=True).is_visible()


# --- without a browser --------------------------------------------------------------------


def streams(folder, before=""):
    return [(f"{before}{each.name}", io.BytesIO(each.read_bytes())) for each in folder.iterdir()]


@pytest.mark.parametrize("before", ["", "a-folder/"])
def test_streams_are_read_as_files(before):
    assert read_streams(sorted(streams(STUCK, before))) == read_case([STUCK])


def test_other_files_of_a_folder_are_passed_by_and_chosen_ones_are_named():
    log = ("node/ipamd.log", io.BytesIO((STUCK / "ipamd.log").read_bytes()))
    case = read_streams([log, ("node/notes.txt", io.BytesIO(b"hello"))])
    assert (case.files, case.unread) == ([("ipamd.log", "log")], [])
    with pytest.raises(InputError, match=r"notes\.txt: not read: not recognised; known are"):
        read_streams([("notes.txt", io.BytesIO(b"hello"))])
    with pytest.raises(InputError, match="nothing recognised; known are"):
        read_streams([("node/notes.txt", io.BytesIO(b"hello"))])


def test_a_case_may_be_asked_again():
    manifest = (STUCK / "aws-node.yaml").read_bytes().replace(b'"25"', b'"26"')
    files = [each for each in streams(STUCK) if each[0] != "aws-node.yaml"]
    case = read_streams([("aws-node.yaml", io.BytesIO(manifest)), *files])
    asked = Asked(instance="m5.large", max_pods="29")
    before = asked.diagnose(case).to_dict()
    assert before["max_pods"] == 29
    assert sum("not rolled out here" in note for note in before["notes"]) == 1
    assert asked.diagnose(case).to_dict() == before
    for wrong in ("0", "x", "1e3", "100001", "9" * 20, "\u0662"):
        with pytest.raises(InputError, match="a number from 1 to 100000"):
            Asked(max_pods=wrong).diagnose(case)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_case_is_shown_whole(lang):
    for folder in sorted(CASES.iterdir()):
        found = Asked().diagnose(read_case([folder])).to_dict()
        html = shown.diagnosis(found, words_in(lang, WORDS))
        for each in found["found"]:
            for text in (each["title"], each["why"], *(one["value"] for one in each["evidence"])):
                assert as_text(text) in html
            for option in each["fix"]["options"] if each["fix"] else ():
                assert as_text(option["title"]) in html
        for name in ("doubts", "give_too") if not found["healthy"] and not found["found"] else ():
            assert all(as_text(line) in html for line in found[name])
