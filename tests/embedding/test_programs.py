"""The programs in examples/ as their authors run them: from the wheel, away from the source.

Ten of them: these nine, and examples/embed, which test_embed.py builds.
"""

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import urllib.request

import pytest

from support.installed import ROOT

EXAMPLES = ROOT / "examples"
pytestmark = pytest.mark.slow


@contextlib.contextmanager
def running(environment, program, *arguments, cwd):
    """Run a program that serves until it is ended; give the first line that it prints."""
    command = [environment.python, EXAMPLES / program, *arguments]
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def ask(path, *lines):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        with client.makefile("rw") as stream:
            for line in lines:
                stream.write(line + "\n")
            stream.flush()
            return [stream.readline().strip() for _ in lines]


def test_a_socket_daemon_keeps_what_it_acknowledged(clean, tmp_path):
    for expected in ("new", "kept"):
        with running(clean, "socket_daemon.py", "s", "pods.db", cwd=tmp_path) as (process, ready):
            assert ready == "ready", process.stderr.read()
            given = ask(tmp_path / "s", *[f"ADD c{n} default/web-{n}" for n in range(5)])
            assert all(re.fullmatch(r"[\d.]+", address) for address in given)
            assert len(set(given)) == 5
            if expected == "new":
                first = given
                assert ask(tmp_path / "s", "DEL c9", "ADD", "DEL c4") == [
                    "error: Sandbox('c9', ifname='eth0', network='aws-cni') holds no address",
                    "error: not enough values to unpack (expected at least 2, got 1)",
                    first[4],
                ]
                process.kill()  # nothing that was acknowledged is lost
            else:
                assert given[:4] == first[:4]
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 0
        (tmp_path / "s").unlink()


def test_a_what_if_over_5000_nodes(clean, tmp_path):
    out = clean.run(EXAMPLES / "what_if.py", cwd=tmp_path)
    answers = {line.split(maxsplit=1)[1]: int(line.split()[0]) for line in out.splitlines()}
    assert sum(answers.values()) == 5000
    assert {"at once", "later: EC2 is asked first"} <= set(answers)


def test_an_exporter(clean, tmp_path):
    with running(clean, "exporter.py", "0", cwd=tmp_path) as (process, url):
        assert url.startswith("http://127.0.0.1:"), process.stderr.read()
        with urllib.request.urlopen(url) as page:
            values = dict(re.findall(r"^(pool_\w+) (\d+)$", page.read().decode(), re.M))
    assert values["pool_assigned"] == "7"
    assert values["pool_short"] == "0"
    assert values["pool_addresses"] == "9"


def test_numpy_batches(complete, tmp_path):
    out = complete.run(EXAMPLES / "batches.py", "20000", cwd=tmp_path)
    assert out == "11760 addresses; pod-1 has 10.0.0.1; 3 pods\n"


def test_a_cloud_of_ones_own(clean, tmp_path):
    rows = clean.run(EXAMPLES / "own_cloud.py", cwd=tmp_path).splitlines()
    assert rows[2] == "  9 pods  2 interfaces   12 addresses"
    assert rows[-1] == "  1 pods  2 interfaces    4 addresses"


def test_a_policy_of_ones_own_waits_less_than_both(clean, tmp_path):
    out = clean.run(EXAMPLES / "own_policy.py", cwd=tmp_path)
    rows = {row.split()[0]: row.split()[1:] for row in out.splitlines()[1:]}
    waited = {name: int(row[0]) for name, row in rows.items()}
    assert waited["predictive"] < waited["ipam-core"] < waited["vpc-cni"]
    page = (ROOT / "docs" / "own-rules.md").read_text("utf-8")
    assert "".join(f"    {line}\n" for line in out.splitlines()) in page


def test_a_notebook_shows_tables_and_pictures(complete, tmp_path):
    cells = re.split(r"^# %% .*\n", (EXAMPLES / "notebook.py").read_text("utf-8"), flags=re.M)
    show = ["import re\nshown = []\n"]
    for cell in cells[2:]:
        *body, last = cell.strip().splitlines()
        show.append("\n".join([*body, f"shown.append({last})\n"]))
    show.append(
        "print([type(each).__name__ for each in shown])\n"
        "print([each._repr_html_()[:3] for each in shown[:2]])\n"
        "shown[2].savefig('waits.png')\n"
    )
    out = complete.run("-c", "\n".join(show), cwd=tmp_path)
    assert out == "['Explanation', 'FleetResult', 'Figure']\n['<p>', '<p>']\n"
    assert (tmp_path / "waits.png").read_bytes().startswith(b"\x89PNG")


def test_a_process_pool_loses_no_result_to_an_error(clean, tmp_path):
    rows = clean.run(EXAMPLES / "process_pool.py", cwd=tmp_path).splitlines()
    assert rows[0] == "m6i.large    serves all 27 pods"
    assert rows[-1].startswith("m6i.hugest   unknown instance type 'm6i.hugest'; nearest: ")


def test_a_test_with_the_pytest_plugin(complete, tmp_path):
    shutil.copy(EXAMPLES / "test_my_controller.py", tmp_path)
    out = complete.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "1 passed" in out
