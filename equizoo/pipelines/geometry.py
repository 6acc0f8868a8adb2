"""Three-dimensional geometries: making them, relaxing them, and telling whether they are one molecule.

References:
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3.
    T. A. Halgren, J. Comput. Chem. 17, 490 (1996): MMFF94.
    C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019): GFN2-xTB.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.embeddings import embed_one, with_positions
from equizoo.data.geometry_graphs import perceived_bonds, relative_distances
from equizoo.data.mmff import minimise
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from equizoo.data.tight_binding import Relaxed, relax_molecule

#: Two atoms nearer than this [Å] are one atom given twice.
COINCIDENT = 0.3
#: Fragments are farther apart than this multiple of the sum of covalent radii; a bond may be stretched.
SEPARATE = 1.3
#: Bond lengths of QM9, as multiples of the sum of covalent radii: 0.784 to 1.120.
USUAL = (0.75, 1.15)

NO_EMBEDDING = "no 3-D geometry: the embedding failed; the rings or the stereochemistry may be impossible"
_EMBED_SECONDS, _EMBED_ATTEMPTS = 20, {False: 60, True: 60}
_MMFF_STEPS, _MMFF_ROUNDS = 500, 10
_XTB_FORCE, _XTB_STEPS = 0.01, 500  # [eV/Å]


class Refused(ValueError):
    """An input that is not answered; the message is the reason."""


def embed(mol: Any, seed: int) -> np.ndarray:
    """Make a geometry from a molecular graph: ETKDGv3, without labels where it needs that, then MMFF94.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        seed: Seed of the embedding; the same seed gives the same geometry.

    Returns:
        (n, 3) float64 positions [Å].

    Raises:
        Refused: MMFF94 has no parameters for it, or no geometry was found within the limits.
    """
    from rdkit import rdBase
    from rdkit.Chem import rdForceFieldHelpers

    with rdBase.BlockLogs():
        if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            raise Refused("no 3-D geometry: MMFF94 has no parameters for this molecule; give coordinates")
        start = embed_one(mol, seed, _EMBED_ATTEMPTS, _EMBED_SECONDS)
        if start is None:
            raise Refused(NO_EMBEDDING)
        mol = with_positions(mol, start[None])
        for _ in range(_MMFF_ROUNDS):
            if minimise(mol, _MMFF_STEPS)[1].all():
                break
        else:
            raise Refused("no 3-D geometry: the MMFF94 minimisation did not converge")
    pos = np.array(mol.GetConformer().GetPositions())
    if not stereo_kept(molecule_graph(mol), pos[None])[0]:
        raise Refused("no 3-D geometry: the MMFF94 minimisation changed the stereochemistry")
    return pos


def relax_xtb(mol: Any, pos: np.ndarray) -> Relaxed:
    """Relax a closed-shell molecule with GFN2-xTB, at the sum of its formal charges.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        pos: (n, 3) positions [Å].

    Returns:
        Energies and positions, with every force below 0.01 eV/Å.

    Raises:
        Refused: It did not converge, or a bond formed or broke on the way.
    """
    end = relax_molecule(mol, pos, _XTB_FORCE, _XTB_STEPS)
    if end is None:
        raise Refused("no 3-D geometry: GFN2-xTB found no solution")
    if not end.converged:
        raise Refused("no 3-D geometry: the GFN2-xTB relaxation did not converge")
    z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    if not np.array_equal(perceived_bonds(z, pos), perceived_bonds(z, end.pos)):
        raise Refused("no 3-D geometry: GFN2-xTB formed or broke a bond, so it is another molecule")
    return end


def check_geometry(z: np.ndarray, pos: np.ndarray) -> str | None:
    """Check that positions are those of one molecule.

    Args:
        z: (n,) atomic numbers.
        pos: (n, 3) positions [Å].

    Returns:
        None, or what is unlike every molecule of QM9 in it.

    Raises:
        Refused: A coordinate is not finite, two atoms are in one place, or there are several fragments.
    """
    if not np.isfinite(pos).all():
        atom = int((~np.isfinite(pos)).any(1).argmax()) + 1
        raise Refused(f"atom {atom} has a coordinate that is not a finite number")
    distance = np.linalg.norm(pos[:, None] - pos[None], axis=-1) + np.diag(np.full(len(z), np.inf))
    i, j = divmod(int(distance.argmin()), len(z))
    if distance[i, j] < COINCIDENT:
        raise Refused(f"atoms {i + 1} and {j + 1} are {distance[i, j]:.2f} Å apart: they coincide")
    relative = relative_distances(z, pos)
    links = _links(relative)
    fragments = 1 + int((links > SEPARATE).sum())
    if fragments > 1:
        raise Refused(
            f"the coordinates are {fragments} separate fragments; give one molecule at a time, in Å"
        )
    if relative.min() < USUAL[0] or links.max(initial=1.0) > USUAL[1]:
        return "bond lengths unlike any in the training set: is the geometry relaxed, and in Å?"
    return None


def _links(relative: np.ndarray) -> np.ndarray:
    """Return the n - 1 edges of the minimum spanning tree: the bonds that hold the molecule together."""
    joined = np.zeros(len(relative), dtype=bool)
    joined[0] = True
    nearest, links = relative[0].copy(), []
    while not joined.all():
        k = int(np.where(joined, np.inf, nearest).argmin())
        links.append(nearest[k])
        joined[k] = True
        nearest = np.minimum(nearest, relative[k])
    return np.array(links)
