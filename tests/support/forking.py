"""Calls in a forked child."""

import os
import signal
import time

import pytest


def in_a_child(call, timeout_s=20):
    """Return what a call answers in a forked child, or raises; a child that hangs is killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = repr(call())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode())
        os._exit(0)  # like the end of any other child, without this one's fixtures
    os.close(writer)
    end = time.monotonic() + timeout_s
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pytest.fail("the child hangs")
        time.sleep(0.002)
    with os.fdopen(reader, "rb") as answered:
        return answered.read().decode()
