"""From SMILES and files to molecules, in processes of their own that are ended when they take too long."""

from __future__ import annotations

import atexit
import functools
import json
import queue
import selectors
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equizoo.demo.answering import Declined
from equizoo.demo.limits import AT_ONCE, ATOMS, SMILES_LENGTH, START_SECONDS, WORKER_SECONDS
from equizoo.pipelines.molecules import Molecule


@dataclass(frozen=True)
class Drawn:
    """A molecule with what is needed to draw it.

    Attributes:
        molecule: Ready for a model.
        bonds: (i, j, order) each.
        name: What its file calls it, or None.
        more: Further molecules in the file, which are not answered.
    """

    molecule: Molecule
    bonds: tuple[tuple[int, int, int], ...]
    name: str | None
    more: int


class Worker:
    """One process that answers requests about molecules; started when it is first asked.

    Args:
        seconds: Time that a request may take.
        module: What it runs.
    """

    def __init__(self, seconds: float = WORKER_SECONDS, module: str = "equizoo.demo.worker") -> None:
        self.seconds = seconds
        self.module = module
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a request; see :func:`equizoo.demo.worker.answer`.

        Raises:
            Declined: It took too long, or the process ended over it.
        """
        process = self._running()
        try:
            process.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            reply = _line(process, self.seconds)
        except TimeoutError:
            self.close()
            raise Declined(
                f"the molecule took more than {self.seconds:g} s; try a smaller one, or give coordinates"
            ) from None
        except OSError:
            reply = ""
        if not reply:
            self.close()
            raise Declined("the molecule could not be read; try another one, or give coordinates")
        return json.loads(reply)

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
            _line(self._process, START_SECONDS)
        return self._process


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


_WORKERS = tuple(Worker() for _ in range(AT_ONCE))
_IDLE: queue.LifoQueue[Worker] = queue.LifoQueue()
for _worker in _WORKERS:
    _IDLE.put(_worker)


@atexit.register
def close() -> None:
    """End all processes; they start again when they are needed."""
    for worker in _WORKERS:
        worker.close()


def from_smiles(smiles: str, elements: tuple[str, ...], seed: int = 0) -> Drawn:
    """Return the molecule of a SMILES string, with a geometry from ETKDGv3 and MMFF94.

    Args:
        smiles: At most 200 characters.
        elements: Symbols that the model knows.
        seed: Seed of the embedding.

    Raises:
        Declined: It cannot be answered; the message says why.
    """
    text = str(smiles or "").strip()
    if not text:
        raise Declined("there is no molecule yet: type a SMILES string such as CCO, or choose an example")
    if len(text) > SMILES_LENGTH:
        raise Declined(f"{len(text)} characters of SMILES are more than the limit of {SMILES_LENGTH} here")
    return _from_smiles(text, elements, seed)


@functools.lru_cache(maxsize=256)
def _from_smiles(text: str, elements: tuple[str, ...], seed: int) -> Drawn:
    return _ask({"smiles": text, "elements": elements, "max_atoms": ATOMS, "seed": seed})


def from_file(path: Path, elements: tuple[str, ...], seed: int = 0) -> Drawn:
    """Return the first molecule of an ``.xyz`` or ``.sdf`` file.

    Raises:
        Declined: It cannot be answered; the message says why.
    """
    return _ask({"path": str(path), "elements": elements, "max_atoms": ATOMS, "seed": seed})


def _ask(request: dict[str, Any]) -> Drawn:
    worker = _IDLE.get()
    try:
        reply = worker.ask(request)
    finally:
        _IDLE.put(worker)
    if "error" in reply:
        raise Declined(reply["error"])
    molecule = Molecule(
        np.array(reply["z"], dtype=np.int64),
        np.array(reply["pos"], dtype=np.float64),
        reply["geometry"],
        reply["smiles"],
        reply["oddity"],
    )
    bonds = tuple((i, j, order) for i, j, order in reply["bonds"])
    return Drawn(molecule, bonds, reply["name"], reply["more"])
