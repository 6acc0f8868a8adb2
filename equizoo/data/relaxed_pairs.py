"""Pairs of an MMFF94 geometry and the minimum that GFN2-xTB relaxes it to.

The reference conformer nearest to a geometry need not be the one that it belongs to, and a minimum of another
method lies elsewhere; here every start is paired with its own minimum, atom by atom.

References:
    T. A. Halgren, J. Comput. Chem. 17, 490 (1996): MMFF94.
    C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019): GFN2-xTB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformer_pairs import Pairs, kabsch
from equizoo.data.embeddings import embed_many, relax_mmff
from equizoo.data.ensembles import XTB_STEPS, NoEnsemble, checked_molecule, sound
from equizoo.data.molecule_graphs import molecule_graph
from equizoo.data.tight_binding import relax_molecule


@dataclass(frozen=True)
class PairSettings:
    """How pairs are made.

    Attributes:
        embeddings: Number of ETKDG embeddings.
        same_energy: Of starts whose MMFF94 energies differ less [kcal/mol] one is taken: they are copies of
            each other, or mirror images.
        force: GFN2-xTB relaxation ends when every force is below [eV/Å].
        seed: Of the embeddings.
    """

    embeddings: int = 4
    same_energy: float = 0.01
    force: float = 0.02
    seed: int = 0


STANDARD = PairSettings()


def make_pairs(smiles: str, settings: PairSettings = STANDARD) -> Ensemble:
    """Make starts of a molecule and the minimum of each.

    Args:
        smiles: A neutral closed-shell molecule in one fragment, with all its stereochemistry specified.
        settings: How they are made.

    Returns:
        The molecule; ``conformers[i]`` is what ``starts[i]`` relaxes to. Bonds and stereochemistry are those
        of the SMILES in each of them.

    Raises:
        NoEnsemble: The molecule is none of those, cannot be embedded, has no MMFF94 parameters, or kept its
            bonds and its stereochemistry in no relaxation.
        ImportError: tblite or ASE is not installed.

    Example:
        >>> pairs = make_pairs("CCO", PairSettings(embeddings=1))
        >>> pairs.starts.shape, bool(np.linalg.norm(pairs.starts - pairs.references, axis=-1).max() < 0.3)
        ((1, 9, 3), True)
    """
    mol = checked_molecule(smiles)
    try:
        graph = molecule_graph(mol)
        starts, energy = relax_mmff(mol, embed_many(mol, settings.embeddings, settings.seed))
    except ValueError as error:
        raise NoEnsemble(str(error)) from error
    starts, energy = sound(graph, starts, energy)
    starts = starts[np.diff(energy, prepend=-np.inf) > settings.same_energy]
    found = [(start, relax_molecule(mol, start, settings.force, XTB_STEPS)) for start in starts]
    kept = [
        (start, end.pos, end.after)
        for start, end in found
        if end is not None and end.converged and len(sound(graph, end.pos[None], np.zeros(1))[0])
    ]
    if not kept:
        raise NoEnsemble("no start kept its bonds and its stereochemistry when it was relaxed")
    starts, ends, energy = map(np.array, zip(*kept, strict=True))
    return Ensemble.of(smiles, graph, ends, energy, own_pairs(starts, ends, graph.heavy))


def own_pairs(starts: np.ndarray, ends: np.ndarray, heavy: np.ndarray) -> Pairs:
    """Pair every start with the end of the same number, atom by atom.

    Args:
        starts: (S, N, 3) positions [Å].
        ends: (S, N, 3) positions [Å].
        heavy: (H,) numbers of the heavy atoms.

    Returns:
        The pairs; the starts are centred and turned onto their ends.

    Example:
        >>> ends = np.eye(3)[None]
        >>> own_pairs(ends[:, :, [1, 0, 2]] * [1, 1, -1], ends, np.array([0])).rmsd.round(6).tolist()
        [0.0]
    """
    moved, fixed = (x - x.mean(1, keepdims=True) for x in (starts, ends))
    moved = moved @ kabsch(moved, fixed)
    labels = np.tile(np.arange(starts.shape[1]), (len(starts), 1))
    return Pairs.between(moved, fixed, heavy, np.arange(len(starts)), labels)
