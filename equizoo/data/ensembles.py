"""Conformer ensembles: ETKDG embeddings, relaxed with MMFF94 and then, if wanted, with GFN2-xTB.

References:
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3.
    T. A. Halgren, J. Comput. Chem. 17, 490 (1996): MMFF94.
    C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019): GFN2-xTB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformer_metrics import best_rmsds
from equizoo.data.embeddings import embed_many, relax_mmff
from equizoo.data.geometry_graphs import same_bonds
from equizoo.data.graph_symmetry import graph_symmetries
from equizoo.data.molecule_graphs import MoleculeGraph, has_stereo_to_choose, molecule_graph, stereo_kept
from equizoo.data.tight_binding import relax_molecule

LEVELS = ("mmff", "xtb")
XTB_STEPS = 500


class NoEnsemble(ValueError):
    """A molecule that no ensemble is made for; the message is the reason."""


@dataclass(frozen=True)
class EnsembleSettings:
    """How an ensemble is made.

    Attributes:
        level: What the conformers are minima of: ``"xtb"`` (seconds a molecule) or ``"mmff"`` (14 ms a
            conformer).
        embeddings: Number of ETKDG embeddings.
        mmff_window: MMFF94 conformers higher than this above the lowest [kcal/mol] are not relaxed further.
        most: Largest number of conformers that are relaxed with GFN2-xTB, lowest first.
        window: Conformers higher than this above the lowest [kcal/mol] are left out.
        force: GFN2-xTB relaxation ends when every force is below [eV/Å].
        same_energy: Two conformers are the same when their energies differ less [kcal/mol]
        same_rmsd: and their heavy atoms deviate less [Å].
        seed: Of the embeddings.

    Raises:
        ValueError: There is no such level, or a number is not positive.
    """

    level: str = "xtb"
    embeddings: int = 40
    mmff_window: float = 12.0
    most: int = 24
    window: float = 6.0
    force: float = 0.03
    same_energy: float = 0.1
    same_rmsd: float = 0.125
    seed: int = 0

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level is {self.level!r}; the levels are {', '.join(LEVELS)}")
        numbers = (self.embeddings, self.mmff_window, self.most, self.window, self.force)
        if min(numbers) <= 0:
            raise ValueError("embeddings, mmff_window, most, window and force must be positive")


STANDARD = EnsembleSettings()


def make_ensemble(smiles: str, settings: EnsembleSettings = STANDARD) -> Ensemble:
    """Make the conformer ensemble of a molecule.

    Every conformer has the bonds and the stereochemistry of the SMILES; they are ordered by energy.

    Args:
        smiles: A neutral closed-shell molecule in one fragment, with all its stereochemistry specified.
        settings: How it is made.

    Returns:
        The ensemble, its atoms in the order of ``Chem.AddHs(Chem.MolFromSmiles(smiles))``.

    Raises:
        NoEnsemble: The molecule is none of those, has a bond that is not single, double, triple or aromatic,
            cannot be embedded, or has no MMFF94 parameters; or none of its conformers survived.
        ImportError: GFN2-xTB is asked for, and tblite is not installed.

    Example:
        >>> ensemble = make_ensemble("CCCO", EnsembleSettings(level="mmff", embeddings=10))
        >>> ensemble.conformers.shape[1:], ensemble.energy[0].item()
        ((12, 3), 0.0)
    """
    mol = checked_molecule(smiles)
    try:
        graph = molecule_graph(mol)
    except ValueError as error:
        raise NoEnsemble(str(error)) from error
    symmetries = graph_symmetries(graph)
    pos = embed_many(mol, settings.embeddings, settings.seed)
    if not len(pos):
        raise NoEnsemble("it cannot be embedded; the rings or the stereochemistry may be impossible")
    try:
        pos, energy = relax_mmff(mol, pos)
    except ValueError as error:
        raise NoEnsemble(str(error)) from error
    window = settings.mmff_window if settings.level == "xtb" else settings.window
    pos, energy = _distinct(graph, symmetries, *sound(graph, pos, energy), window, settings)
    if settings.level == "xtb":
        ends = [relax_molecule(mol, one, settings.force, XTB_STEPS) for one in pos[: settings.most]]
        done = [end for end in ends if end is not None and end.converged]
        pos = np.array([end.pos for end in done]).reshape(-1, len(graph), 3)
        energy = np.array([end.after for end in done])
        pos, energy = _distinct(graph, symmetries, *sound(graph, pos, energy), settings.window, settings)
    if not len(pos):
        raise NoEnsemble("no conformer kept its bonds and its stereochemistry when it was relaxed")
    return Ensemble.of(smiles, graph, pos, energy)


def checked_molecule(smiles: str) -> Any:
    """Return the RDKit ``Mol`` of a SMILES, with explicit hydrogens.

    Raises:
        NoEnsemble: It is no neutral closed-shell molecule in one fragment, or lacks stereochemistry.
    """
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or not mol.GetNumHeavyAtoms():
        raise NoEnsemble("it is no SMILES of a molecule with heavy atoms")
    if len(Chem.GetMolFrags(mol)) > 1:
        raise NoEnsemble("it is more than one fragment")
    if Chem.GetFormalCharge(mol) or any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise NoEnsemble("it is charged or has radicals")
    if has_stereo_to_choose(mol):
        raise NoEnsemble("its stereochemistry is not specified completely")
    return Chem.AddHs(mol)


def sound(graph: MoleculeGraph, pos: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep what has the bonds and the stereochemistry of the molecule, lowest energy first.

    Args:
        graph: The molecule, of N atoms.
        pos: (K, N, 3) positions [Å].
        energy: (K,) energies.

    Returns:
        (S, N, 3) positions and (S,) energies of what is kept, S at most K.
    """
    good = stereo_kept(graph, pos) & same_bonds(graph.bonds, graph.z, pos)
    order = np.argsort(energy[good], kind="stable")
    return pos[good][order], energy[good][order]


def _distinct(
    graph: MoleculeGraph,
    symmetries: np.ndarray,
    pos: np.ndarray,
    energy: np.ndarray,
    window: float,
    settings: EnsembleSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Keep one conformer of each kind inside the window; ``energy`` is in ascending order."""
    inside = energy <= energy[:1] + window
    pos, energy = pos[inside], energy[inside]
    same = best_rmsds(pos[:, graph.heavy], pos[:, graph.heavy], symmetries) < settings.same_rmsd
    same &= np.abs(energy[:, None] - energy[None]) < settings.same_energy
    kept: list[int] = []
    for i in range(len(pos)):
        if not same[i, kept].any():
            kept.append(i)
    return pos[kept], energy[kept]
