"""A molecule in, its conformers out.

References:
    M. Hassan et al., "ET-Flow: Equivariant Flow-Matching for Molecular Conformer Generation", NeurIPS 2024.
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3, where a flow
    with ``prior="etkdg"`` starts from.
"""

from __future__ import annotations

import numbers
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from equizoo.data.embeddings import with_positions
from equizoo.pipelines import checked_card, checked_seed, is_whole, require
from equizoo.pipelines.conformer_energies import POLISHES
from equizoo.pipelines.conformer_input import Subject, read_subject
from equizoo.pipelines.conformer_result import Conformers, Tally
from equizoo.pipelines.conformer_selection import compared_atoms, distinct
from equizoo.pipelines.conformer_starts import check_prior, etkdg_starts, harmonic_starts, mmff_starts
from equizoo.pipelines.conformer_workup import Screen
from equizoo.pipelines.geometry import Refused
from equizoo.pipelines.molecules_input import expand
from equizoo.pipelines.readers import Entry
from equizoo.relaxation.layer import relaxations

TASK = "conformers"
MOST_CONFORMERS = 1000
_OVERSAMPLE = 3
_COPIES = 10  # no more are drawn after so many copies one after another, or half of n
_PAIRS = 400_000  # ordered pairs of atoms a forward pass: some 0.5 GB at the published width
_PARTIAL = (
    "a partial variant is not exactly equivariant: its conformers change somewhat with the orientation of "
    "where they start from; use the equivariant variant where that matters"
)


@dataclass(frozen=True)
class Request:
    """What is asked for, see :meth:`ConformerPipeline.__call__`.

    Raises:
        ValueError: A number is none or out of its range, or there is no such polish.
    """

    n: int
    seed: int
    steps: int
    polish: str | None
    rmsd: float

    def __post_init__(self) -> None:
        checked_seed(self.seed)
        if not is_whole(self.n) or not 1 <= self.n <= MOST_CONFORMERS:
            raise ValueError(f"n must be a whole number from 1 to {MOST_CONFORMERS}, got {self.n!r}")
        if not is_whole(self.steps) or self.steps < 1:
            raise ValueError(f"steps must be a whole number of at least 1, got {self.steps!r}")
        real = isinstance(self.rmsd, numbers.Real) and not isinstance(self.rmsd, bool)
        if not real or not 0 <= self.rmsd < float("inf"):
            raise ValueError(f"rmsd must be a number of 0 or more, in Å, got {self.rmsd!r}")
        if self.polish is not None and self.polish not in POLISHES:
            raise ValueError(f"polish must be None or one of {POLISHES}, got {self.polish!r}")


class ConformerPipeline:
    """Make conformers of molecules.

    An input is a SMILES string, an RDKit ``Mol``, or a path to an ``.sdf``, ``.smi`` or ``.csv`` file. Every
    conformer that is returned has the tetrahedral centres and double bonds that were asked for, by the signs
    of its volumes and as RDKit reads them from the positions; those that an input leaves open are chosen
    once and reported, so that all conformers are of one isomer, but for the axes of allenes: both senses of
    an axis are made. Samples with another stereochemistry, with a flat allene or with atoms in each other's
    way are rejected, counted and drawn again, and so are copies until hardly any other conformer turns up; up
    to three times as many samples are drawn as asked for. A rigid molecule has fewer conformers than that.

    Radicals, separate fragments, elements that the model never saw and molecules of more than 100 heavy atoms
    are refused with the reason. Molecules larger than those of the training set, ions and molecules with
    formal charges, such as nitro compounds, are answered and flagged.

    Args:
        model: A conformer flow with its checkpoint's ``card``; its ``config.prior`` says what it starts from.
        device: Where it runs; where it is unless given.
        batch_size: Most conformers a forward pass.

    Attributes:
        caution: What a user of this variant has to know, or None.

    Raises:
        MissingExtra: RDKit is not installed.
        ValueError: ``batch_size`` is no positive whole number, or the model is not a checkpoint of this task.

    Example:
        >>> from equizoo import pipeline
        >>> conformers = pipeline("conformers")  # doctest: +SKIP
        >>> answer = conformers("C[C@H](O)CCF", n=20, seed=1)  # doctest: +SKIP
        >>> answer.mol.GetNumConformers(), answer.relative_energies[:3].round(2)  # doctest: +SKIP
        (17, array([0.  , 0.41, 0.57]))
        >>> answer.to_sdf("fluorobutanol.sdf")  # doctest: +SKIP
    """

    OPTIONS = ("batch_size",)

    def __init__(self, model: nn.Module, device: Any = None, batch_size: int = 64) -> None:
        if not is_whole(batch_size) or batch_size < 1:
            raise ValueError(f"batch_size must be a positive whole number, got {batch_size!r}")
        require("rdkit", "molecules", "reading molecules")
        self.card: Any = checked_card(model, TASK)
        self.model: Any = (model if device is None else model.to(device)).eval()
        self.elements: tuple[str, ...] = tuple(self.card.domain["elements"])
        self.batch_size = batch_size
        self.caution = _PARTIAL if relaxations(model) else None

    def __call__(
        self,
        molecules: Any,
        n: int = 10,
        seed: int = 0,
        steps: int | None = None,
        polish: str | None = None,
        rmsd: float = 0.1,
    ) -> Any:
        """Make conformers.

        Args:
            molecules: One molecule, or a list of molecules; a file has many.
            n: Number of conformers asked for, 1 to 1,000.
            seed: Seed of the samples, 0 to 2³¹ − 1. Sample ``k`` of a molecule depends on the molecule, the
                seed and ``k``, not on ``n`` or on the other molecules.
            steps: Evaluations of the model a conformer; those that its errors were measured with unless
                given.
            polish: Relax each conformer with ``"mmff"`` (MMFF94) or ``"xtb"`` (GFN2-xTB, some seconds each).
            rmsd: Conformers nearer than this to one of lower energy are left out [Å]; best RMSD over symmetry
                of the heavy atoms and the hydrogens that are not on carbon. 0 keeps all.

        Returns:
            :class:`~equizoo.pipelines.conformer_result.Conformers`; a list of them, in order, for a list or a
            file, in which a molecule without an answer says why.

        Raises:
            Refused: The only molecule cannot be answered; the message says why.
            MissingExtra: tblite or ASE for ``polish="xtb"`` is not installed.
            ValueError: A number is none or out of its range, or there is no such polish.
        """
        from tqdm import tqdm

        request = Request(n, seed, self.card.domain["steps"] if steps is None else steps, polish, rmsd)
        if polish == "xtb":
            require("tblite", "xtb", "polish='xtb'")
            require("ase", "molecules", "polish='xtb'")
        entries, single = expand(molecules)
        progress = tqdm(entries, "molecules", leave=False, disable=None, delay=1)
        answers = [self._answer(entry, request) for entry in progress]
        if single and answers[0].error is not None:
            raise Refused(answers[0].error)
        return answers[0] if single else answers

    def _answer(self, entry: Entry, request: Request) -> Conformers:
        """Return the conformers of one molecule, or why there are none."""
        start = time.perf_counter()
        try:
            subject = read_subject(entry, self.elements, request.seed)
            answer = self._conformers(entry, subject, request)
        except Refused as reason:
            answer = Conformers(entry.label, Tally(int(request.n)), entry.name, error=str(reason))
        return replace(answer, tally=replace(answer.tally, seconds=time.perf_counter() - start))

    def _conformers(self, entry: Entry, subject: Subject, request: Request) -> Conformers:
        check_prior(subject, self.model.config.prior)
        screen = Screen(subject, request.polish)
        atoms, symmetries = compared_atoms(subject.mol)
        positions, energies, samples = self._accepted(subject, request, screen, atoms, symmetries)
        order = np.argsort(energies, kind="stable")
        order = order[distinct(positions[order][:, atoms], symmetries, request.rmsd)][: request.n]
        counts = Counter(screen.fates, duplicates=len(samples) - len(order))
        tally = Tally(int(request.n), screen.seen, made=len(order), **counts)
        if len(samples) == 0:
            reason = (
                f"none of {tally.sampled} samples is a conformer of it: {tally.not_embedded} not embedded, "
                f"{tally.wrong_stereo} of other stereochemistry, {tally.clashes} with clashes, "
                f"{tally.not_relaxed} not relaxed"
            )
            return Conformers(entry.label, tally, entry.name, error=reason)
        mol = with_positions(subject.mol, positions[order])
        mol.SetProp("_Name", entry.name or "")
        for conformer, row in zip(mol.GetConformers(), order, strict=True):
            conformer.SetIntProp("sample", int(samples[row]))
            if np.isfinite(energies[row]):
                conformer.SetDoubleProp("energy", float(energies[row]))
        return Conformers(
            entry.label,
            tally,
            entry.name,
            domain_reason=self._outside(subject),
            mol=mol,
            smiles=subject.smiles,
            chosen=subject.chosen,
            energies=energies[order],
            method=screen.method,
            samples=samples[order],
        )

    def _accepted(
        self, subject: Subject, request: Request, screen: Screen, atoms: np.ndarray, symmetries: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw samples until n that differ are accepted, only copies turn up, or too many were drawn.

        Args:
            subject: The molecule.
            request: What is asked for.
            screen: What accepts samples.
            atoms: (M,) numbers of the atoms that tell conformers apart.
            symmetries: (S, M) permutations of these atoms.

        Returns:
            (K, N, 3) positions [Å], (K,) energies [kcal/mol] and (K,) numbers of the samples, copies among
            them.
        """
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        found = np.zeros((0, len(atoms), 3))
        copies, most = 0, max(_COPIES, request.n // 2)  # copies since the last new conformer
        while len(found) < request.n and copies < most and screen.seen < _OVERSAMPLE * request.n:
            missing = request.n - len(found)
            numbers = range(screen.seen, min(screen.seen + missing, _OVERSAMPLE * request.n))
            starts = self._starts(subject, request.seed, numbers)
            moved = self._flow(subject, list(starts.values()), request.steps)
            parts.append(screen(numbers, list(starts), moved))
            compared = parts[-1][0][:, atoms]
            new = distinct(compared, symmetries, request.rmsd, found)
            found = np.concatenate([found, compared[new]])
            copies = len(compared) - 1 - new[-1] if new else copies + len(compared)
        positions, energies, samples = (np.concatenate(part) for part in zip(*parts, strict=True))
        return positions, energies, samples

    def _starts(self, subject: Subject, seed: int, samples: Sequence[int]) -> dict[int, np.ndarray]:
        if self.model.config.prior == "harmonic":
            return harmonic_starts(subject.molecule, seed, samples)
        made = mmff_starts if self.model.config.prior == "mmff" else etkdg_starts
        return made(subject, seed, samples)

    def _flow(self, subject: Subject, starts: list[np.ndarray], steps: int) -> np.ndarray:
        """Return (K, N, 3) float64 positions [Å] at the end of the flow from each start (N, 3)."""
        from equizoo.models.flow_matching import follow
        from equizoo.models.molecule_batch import MoleculeBatch

        parameter = next(self.model.parameters())
        atoms = len(subject.molecule.z)
        size = max(1, min(self.batch_size, _PAIRS // atoms**2))
        ends = [np.zeros((0, atoms, 3))]
        for first in range(0, len(starts), size):
            part = np.stack(starts[first : first + size])
            batch = MoleculeBatch.of([subject.molecule] * len(part))
            batch = MoleculeBatch(
                *(x.to(parameter if x.is_floating_point() else parameter.device) for x in batch)
            )
            x0 = torch.from_numpy(part).to(parameter).flatten(0, 1)
            end = follow(lambda x, t, b=batch: self.model(x, t, *b), x0, batch.batch, len(part), steps)
            ends.append(end.double().cpu().numpy().reshape(part.shape))
        return np.concatenate(ends)

    def _outside(self, subject: Subject) -> str | None:
        limit = self.card.domain["max_heavy_atoms"]
        if subject.heavy_atoms > limit:
            return f"{subject.heavy_atoms} heavy atoms, and the model was trained on at most {limit}"
        if subject.charge:
            return f"its charge is {subject.charge:+d}, and the model was trained on neutral molecules"
        if any(atom.GetFormalCharge() for atom in subject.mol.GetAtoms()):
            return "atoms of it have formal charges, and no molecule that the model was trained on has any"
        return None
