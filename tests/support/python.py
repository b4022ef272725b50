"""Programs in Python in processes of their own, which start in some hundredths of a second.

`Process` and `run` are `subprocess.Popen` and `subprocess.run` of what follows `python` on a
command line: `run("-m", "ipam_core", "instances")`. The process is a fork of one that has loaded
what commands need (`support.fork_server`), which is its parent. It is an interpreter of its own
in a soak, on systems but Linux, and where a variable that Python reads at its start differs.

All forks have the seed of `hash` of their parent. So tests that two processes agree, of what is
loaded or how long that takes, and of a missing extra use `subprocess` themselves.
"""

import inspect
import json
import os
import select
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from subprocess import PIPE, TimeoutExpired

from support.fork_server import MOST_BYTES
from support.soak import SOAK

FORKS = sys.platform == "linux" and not SOAK
LOADED = (
    "rich.console",
    "yaml",
    "numpy",
    "grpc",
    "aiohttp.web",
    "botocore.session",
    "kr8s",
    "ipam_core.checkpoint",
    "ipam_core.cli._app",
    "ipam_core.cli.agent",
    "ipam_core.cli.vpc",
    "ipam_core.cli.cluster",
    "ipam_core.agent.agent",
    "ipam_core.agent.simulated_host",
    "ipam_core.endpoint.server",
)
"""What makes up most of the time that a command takes to start."""
_SERVE = (
    "import sys; sys.path.insert(0, {!r}); from support.fork_server import serve; "
    "del sys.path[:2]; serve({}, {!r})"
)
_TAKEN_ON = {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
"""What a fork takes on, too; other variables of Python decide at its start."""


def _decisive(environment):
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("PYTHON", "LC_", "LANG", "LD_")) and name not in _TAKEN_ON
    }


_HERE = _decisive(os.environ)


class Server:
    """The process that forks. Several threads may ask it."""

    def __init__(self):
        self._control, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        code = _SERVE.format(str(Path(__file__).parents[1]), others.fileno(), LOADED)
        environment = {name: text for name, text in os.environ.items() if name not in _TAKEN_ON}
        environment["OPENBLAS_NUM_THREADS"] = "1"  # at a fork there is one thread
        with others:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                env=environment,
                pass_fds=[others.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def ask(self, request, streams=()):
        """Return the answer to a request."""
        message = json.dumps(request).encode()
        assert len(message) <= MOST_BYTES
        with self._lock:
            socket.send_fds(self._control, [message], streams)
            return json.loads(self._control.recv(100))

    def end(self):
        """End it; its children go on."""
        self._control.close()
        self._process.wait()


@cache
def server():
    """Return the one of this process."""
    return Server()


def end_server():
    """End that of this process, if there is one."""
    if server.cache_info().currsize:
        server().end()
        server.cache_clear()


class Process(subprocess.Popen):
    """A `subprocess.Popen` of what follows `python` on a command line."""

    def __init__(self, *arguments, env=None, **options):
        self._forked = FORKS and _decisive(os.environ if env is None else env) == _HERE
        super().__init__([sys.executable, *map(str, arguments)], env=env, **options)

    def _execute_child(self, *given):
        if not self._forked:
            super()._execute_child(*given)
            return
        bound = inspect.signature(super()._execute_child).bind(*given).arguments
        named = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        pipes = [bound[name] for name in named]
        environment = os.environ if bound["env"] is None else bound["env"]
        request = {
            "arguments": bound["args"][1:],
            "environment": dict(environment),
            "folder": os.fspath(bound["cwd"] or Path.cwd()),
            "new_session": bool(bound["start_new_session"]),
        }
        own = (bound["p2cread"], bound["c2pwrite"], bound["errwrite"])
        streams = [number if each == -1 else each for number, each in enumerate(own)]
        self.pid = server().ask(request, streams)
        self._child_created = True
        self._ended = os.pidfd_open(self.pid)  # none has waited for it, so it is this process's
        self._close_pipe_fds(*pipes)

    def _try_wait(self, wait_flags):
        if not self._forked:
            return super()._try_wait(wait_flags)
        ended = select.poll()
        ended.register(self._ended, select.POLLIN)
        if not ended.poll(0 if wait_flags & os.WNOHANG else None):
            return 0, 0
        os.close(self._ended)
        return self.pid, server().ask(self.pid)

    def _internal_poll(self, _deadstate=None, **_):
        return super()._internal_poll(_deadstate, lambda _, flags: self._try_wait(flags))


def run(*arguments, check=False, timeout=None, given=None, capture_output=True, **options):
    """Run a program to its end, `given` as its input; return what `subprocess.run` returns."""
    if capture_output:
        options |= {"stdout": PIPE, "stderr": PIPE}
    if given is not None:
        options["stdin"] = PIPE
    with Process(*arguments, text=True, **options) as process:
        try:
            out, err = process.communicate(given, timeout)
        except TimeoutExpired:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done
