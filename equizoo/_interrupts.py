"""Ctrl-C that no library can swallow.

RDKit puts a handler of its own in the place of Python's while it embeds or matches: a Ctrl-C then ends that
call with an incomplete answer, and the program goes on with it.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_kept() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` for Ctrl-C, once the library that runs at that moment has returned.

    To be entered before any library has started threads, which would be given the signal. It does nothing
    outside the main thread and where signals cannot be blocked (Windows).

    Example:
        >>> with interrupts_kept():
        ...     pass
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()

    def wait() -> None:
        while True:
            signal.sigwait({signal.SIGINT})
            if ended.is_set():
                return
            _thread.interrupt_main()

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    waiting = threading.Thread(target=wait, name="interrupts", daemon=True)
    waiting.start()
    try:
        yield
    finally:
        ended.set()
        signal.pthread_kill(waiting.ident or 0, signal.SIGINT)
        waiting.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Start processes that are deaf to Ctrl-C, for a parent that ends them; a Ctrl-C meanwhile comes after.

    Example:
        >>> with interrupts_held():
        ...     pass
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
