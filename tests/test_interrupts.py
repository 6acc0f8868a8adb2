"""Ctrl-C while a library has its own handler in the place of Python's."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from equizoo._interrupts import interrupts_held, interrupts_kept

SWALLOWED = """
import ctypes, os, signal, sys
from equizoo._interrupts import interrupts_kept

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
libc = ctypes.CDLL(None)
libc.signal.restype = ctypes.c_void_p
libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]

def library():  # as RDKit does: a handler of its own, the signal, and the old one back
    own = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: None)
    before = libc.signal(signal.SIGINT, ctypes.cast(own, ctypes.c_void_p))
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(200_000):
        pass
    libc.signal(signal.SIGINT, before)

try:
    if sys.argv[1] == "kept":
        with interrupts_kept():
            library()
            signal.sigtimedwait([signal.SIGUSR1], 30)
    else:
        library()
    print("swallowed")
except KeyboardInterrupt:
    print("raised")
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked")


@pytest.mark.parametrize(("how", "seen"), [("kept", "raised"), ("plain", "swallowed")])
def test_a_library_with_its_own_handler(how: str, seen: str) -> None:
    command = [sys.executable, "-c", SWALLOWED, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.stdout.strip() == seen, done.stderr


def test_the_mask_is_given_back() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with interrupts_kept():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with interrupts_held():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
