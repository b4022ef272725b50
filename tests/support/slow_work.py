"""Work for a process of its own, which finds it here without loading a module of tests."""

import os
import time

from ipam_core.errors import InputError


def endless(on_progress):
    for n in range(10_000):
        on_progress(n / 10_000)
        time.sleep(0.02)


def dies(_):
    os._exit(9)


def refuses(word, _):
    raise InputError(f"no {word}")
