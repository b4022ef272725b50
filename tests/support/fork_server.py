"""A Python that forks itself for each program that a test starts; see `support.python`.

A program finds modules loaded, and everything else as in an interpreter of its own: arguments,
environment, folder, streams, signals and session, the module `__main__`, and how it ends. So a
child leaves the server by the way out of it, through the end of the interpreter.

A request is one message of JSON. With the three streams of the program it starts one and is
answered with its process id; with a process id it is answered with the status of the wait for it.
"""

import gc
import io
import json
import os
import runpy
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

MOST_BYTES = 1 << 20
"""Of a request."""


def serve(descriptor, modules):
    """Import modules, then fork a child for each request, until nobody is there who asks.

    It returns in the server at its end; in a child it runs the program first.
    """
    for name in modules:
        with suppress(ModuleNotFoundError):  # of an extra that is not installed
            import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # it is for the children
    with socket.socket(fileno=descriptor) as control:
        while True:
            message, streams, *_ = socket.recv_fds(control, MOST_BYTES, 3)
            if not message:
                return
            request = json.loads(message)
            if not streams:
                answer = os.waitpid(request, 0)[1]
            elif answer := os.fork():
                for stream in streams:
                    os.close(stream)
            else:
                break
            control.send(json.dumps(answer).encode())
    _become(request, streams)
    _run(request["arguments"])


def _become(request, streams):
    """Take on what a new process is given."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    if request["new_session"]:
        os.setsid()
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = _stream(0, sys.stdin, unbuffered)
    sys.stdout = sys.__stdout__ = _stream(1, sys.stdout, unbuffered)
    sys.stderr = sys.__stderr__ = _stream(2, sys.stderr, unbuffered)
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _stream(number, like, unbuffered):
    """Return a standard stream as Python makes it at its start."""
    mode = "w" if number else "r"
    buffering = 0 if unbuffered and number else -1
    binary = open(number, f"{mode}b", buffering, closefd=False)  # noqa: SIM115
    getattr(binary, "raw", binary).name = like.name
    text = io.TextIOWrapper(
        binary,
        like.encoding,
        like.errors,
        newline="\n" if number else None,
        line_buffering=not unbuffered and (number == 2 or binary.isatty()),
        write_through=unbuffered,
    )
    text.mode = mode
    return text


def _run(arguments):
    """Run a program as `python ARGUMENTS` does: `-c CODE`, `-m MODULE` or a file, and the rest."""
    del sys.modules["support.fork_server"], sys.modules["support"]
    names = vars(sys.modules["__main__"])
    how, *rest = arguments
    if how == "-m":
        name, *rest = rest
        sys.argv[:] = [name, *rest]
        sys.path.insert(0, str(Path.cwd()))
        runpy._run_module_as_main(name)  # what the interpreter itself calls
        return
    if how == "-c":
        code, *rest = rest
        sys.argv[:] = [how, *rest]
        sys.path.insert(0, "")
        exec(compile(code, "<string>", "exec"), names)
        return
    sys.argv[:] = arguments
    sys.path.insert(0, str(Path(how).resolve().parent))
    names["__file__"] = how
    exec(compile(Path(how).read_bytes(), how, "exec"), names)
