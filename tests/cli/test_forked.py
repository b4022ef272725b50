"""A forked program of `support.python` is what an interpreter of its own is, but for its start."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import python
from support.commands import INTERRUPTIBLE
from support.python import Process, run

pytestmark = pytest.mark.skipif(not python.FORKS, reason="nothing is forked: see support.python")
FACTS = """
import atexit, json, os, signal, sys, threading
atexit.register(print, "at exit")
print(json.dumps({
    "argv": sys.argv, "path": sys.path, "name": __name__, "spec": str(__spec__)[:30],
    "main": sys.modules["__main__"].__dict__ is globals(), "cwd": os.getcwd(),
    "environment": dict(os.environ), "bytecode": sys.dont_write_bytecode,
    "streams": [[each.name, each.encoding, each.errors, each.line_buffering, each.mode,
                 type(each.buffer).__name__, each.write_through, each.newlines, each.fileno()]
                for each in (sys.stdin, sys.stdout, sys.stderr)],
    "open": sorted(os.listdir("/proc/self/fd"))[:-1], "threads": threading.active_count(),
    "handlers": [str(signal.getsignal(number)) for number in range(1, 32)],
    "blocked": [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(),
}, indent=1))
sys.stdout.write("not flushed ")
"""


def real(*arguments, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, *map(str, arguments)], text=True, **options)


def forked(*arguments, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return Process(*arguments, text=True, **options)


def ends(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture(params=["-c", "-m", "a file"])
def facts(request, tmp_path):
    """How to run the program that prints all this."""
    (tmp_path / "facts.py").write_text(FACTS)
    return {"-c": ["-c", FACTS], "-m": ["-m", "facts"], "a file": ["facts.py"]}[request.param]


@pytest.mark.parametrize("more", [{}, {"PYTHONUNBUFFERED": "1"}, {"PYTHONPATH": "/x:/y", "X": "1"}])
def test_it_finds_what_an_interpreter_finds(facts, tmp_path, more):
    environment = {name: each for name, each in os.environ.items() if "UNBUFFERED" not in name}
    options = {"cwd": tmp_path, "env": environment | more, "start_new_session": "X" in more}
    assert ends(forked(*facts, "a", "b", **options)) == ends(real(*facts, "a", "b", **options))


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(3)",
        "import sys; sys.exit('said')",
        "import os; os._exit(7)",
        "import os; os.abort()",
        "raise SystemExit",
        "import threading as t; t.Thread(target=lambda: print('later')).start()",
        "print(input(), end='')",
        "import sys; sys.stdout.close()",
    ],
)
def test_it_ends_as_an_interpreter_ends(code):
    found = []
    for kind in (forked, real):
        process = kind("-c", code, stdin=subprocess.PIPE)
        out, err = process.communicate("typed\n", timeout=60)
        found.append((process.returncode, out, err))
    assert found[0] == found[1]


def test_an_error_is_a_traceback_and_status_1():
    status, out, err = ends(forked("-c", "1 / 0"))
    assert (status, out) == (1, "")
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("\nZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(
    "command",
    ["instances m5.large", "instances no-such", "explain m5.large -e MINIMUM_IP_TARGET=25",
     "--help", "explain"],
)  # fmt: skip
def test_a_command_says_the_same_with_the_same_status(command):
    arguments = ["-m", "ipam_core", *command.split()]
    assert ends(forked(*arguments)) == ends(real(*arguments))


@pytest.mark.parametrize("kind", [forked, real])
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)],
)
def test_a_signal_ends_it(kind, number, status):
    process = kind("-c", f"{WAITS}\n{INTERRUPTIBLE}")
    assert process.stdout.readline() == "there\n"
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(number)
    assert ends(process)[0] == status
    process.send_signal(number)  # to nobody


WAITS = """
import time
from ipam_core.cli import _app
_app.run = lambda: print("there", flush=True) or time.sleep(60)
"""


def test_one_that_is_interrupted_before_it_runs_is_interrupted():
    process = forked("-c", "import time; time.sleep(60)")
    process.send_signal(signal.SIGINT)
    status, _, err = ends(process)
    assert status == -signal.SIGINT
    assert err.endswith("\nKeyboardInterrupt\n")


@pytest.mark.parametrize("kind", [forked, real])
def test_nobody_reads_it(kind):
    read, write = os.pipe()
    process = kind("-m", "ipam_core", "instances", stdout=write)
    os.close(write)
    os.close(read)
    assert ends(process)[::2] == (141, "")


@pytest.mark.parametrize("kind", [forked, real])
def test_on_a_terminal_each_line_is_written_at_once(kind):
    terminal, end = pty.openpty()
    code = "import time; print('a line'); time.sleep(60)"
    process = kind("-c", code, stdout=end, env=os.environ | {"PYTHONUNBUFFERED": ""})
    os.close(end)
    assert os.read(terminal, 100) == b"a line\r\n"
    process.kill()
    ends(process)
    os.close(terminal)


def test_a_run_has_its_input_its_status_and_its_end_in_time():
    done = run("-c", "print(input()[::-1])", given="abc\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cba\n", "")
    with pytest.raises(subprocess.CalledProcessError):
        run("-c", "raise SystemExit(1)", check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        run("-c", "import time; time.sleep(60)", timeout=0.05)


def test_what_python_reads_at_its_start_gets_an_interpreter_of_its_own():
    parent = "import os; print(os.getppid())"
    assert run("-c", parent).stdout != f"{os.getpid()}\n"
    mine = run("-c", parent, env=os.environ | {"PYTHONHASHSEED": "1"})
    assert mine.stdout == f"{os.getpid()}\n"


def test_chance_is_not_that_of_another_fork():
    code = "import random, uuid, numpy.random as of_arrays\n"
    code += "print(random.random(), uuid.uuid4(), of_arrays.default_rng().random())"
    numbers = [run("-c", code, check=True).stdout.split() for _ in range(2)]
    assert not set(numbers[0]) & set(numbers[1])


def test_a_fork_starts_with_one_thread_and_no_file_of_the_tests():
    code = "import os; print(len(os.listdir('/proc/self/task')), *os.listdir('/proc/self/fd'))"
    with Path(os.devnull).open() as mine:
        os.set_inheritable(mine.fileno(), True)
        n_threads, *files = run("-c", code).stdout.split()
    assert n_threads == "1"
    assert len(files) == 4  # three streams, and the folder that is listed
