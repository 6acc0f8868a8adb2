"""Processes for what strangers send: one JSON object a line in, one out.

A request that takes too long, takes too much memory or crashes ends its process only.
"""

from __future__ import annotations

import atexit
import json
import queue
import selectors
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from equizoo.demo.answering import Declined
from equizoo.demo.limits import AT_ONCE, START_SECONDS, WORKER_MEMORY, WORKER_SECONDS


class Worker:
    """One process that answers requests, one after the other; started when it is first asked.

    Args:
        module: What it runs; it calls :func:`serve`.
        what: What it reads, for messages.
        seconds: Time that a request may take.
    """

    def __init__(self, module: str, what: str, seconds: float = WORKER_SECONDS) -> None:
        self.module = module
        self.what = what
        self.seconds = seconds
        self._asked = 0
        self._process: subprocess.Popen[str] | None = None
        atexit.register(self.close)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a request; see ``answer`` of the module that it runs.

        Raises:
            Declined: It is refused, took too long, or the process ended over it.
        """
        process = self._running()
        self._asked += 1
        try:
            process.stdin.write(json.dumps({**request, "id": self._asked}) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            reply = json.loads(_line(process, self.seconds) or "{}")
        except TimeoutError:
            self.close()
            raise Declined(f"the {self.what} took more than {self.seconds:g} s; try a smaller one") from None
        except (OSError, ValueError):  # it ended before or amid its reply
            reply = {}
        if reply.pop("id", None) != self._asked:  # nothing, or the reply to another request
            self.close()
            raise Declined(f"the {self.what} could not be read; try another one")
        if "error" in reply:
            raise Declined(reply["error"])
        return reply

    def interrupt(self) -> None:
        """End the process while it answers; the one who asked is told that there is no answer."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End the process; the next request starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            try:
                _line(self._process, START_SECONDS)
            except TimeoutError:
                self.close()
                raise Declined(
                    f"what reads the {self.what} did not start in {START_SECONDS:g} s; try again in a minute"
                ) from None
        return self._process


class Workers:
    """As many processes as there are answers at once; each request goes to one that is idle.

    Args:
        module: What they run.
        what: What they read, for messages.
    """

    def __init__(self, module: str, what: str) -> None:
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()  # the last one used: it is started already
        for _ in range(AT_ONCE):
            self._idle.put(Worker(module, what))

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a request, as :meth:`Worker.ask`."""
        worker = self._idle.get()
        try:
            return worker.ask(request)
        finally:
            self._idle.put(worker)


def serve(reply_to: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Say that it is ready, then answer requests until the input ends: the other end of a :class:`Worker`.

    Args:
        reply_to: Takes a request and returns the reply, which has ``error`` where there is no answer.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (WORKER_MEMORY, WORKER_MEMORY))
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = reply_to(request)
        except Exception:  # whatever a file does to a parser, the next request is answered
            reply = {"error": "this cannot be read"}
        sys.stdout.write(json.dumps({**reply, "id": request["id"]}) + "\n")
        sys.stdout.flush()


def _line(process: subprocess.Popen[str], seconds: float) -> str:
    """Return the next line that a process writes; an empty one if it has ended.

    Raises:
        TimeoutError: There is none in time.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
        if not selector.select(seconds):
            raise TimeoutError
    return process.stdout.readline()  # type: ignore[union-attr]
