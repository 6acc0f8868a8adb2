"""Embeddings of strained cages, of which ETKDGv3 finds the shape but refuses the stereochemistry.

RDKit wants every labelled centre inside the tetrahedron of its neighbours, where those of fused small rings
need not be: of the molecules of QM9, written with the stereochemistry of their geometries, 7 % cannot be
embedded. Without labels most of these can, as one stereoisomer or another, of which the one that was asked
for is kept.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from equizoo.data.molecule_graphs import molecule_graph, stereo_kept

_MOST, _ITERATIONS, _SECONDS = 200, 2, 5
_LARGEST = 2**31 - 1  # seed that RDKit takes


def embed_any_isomer(mol: Any, count: int, seed: int) -> np.ndarray:
    """Embed a molecule without its stereo labels, and keep what has the stereochemistry that they ask for.

    An embedding whose mirror image has it is mirrored.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        count: Number of embeddings; no more than 200 are tried, for no more than five seconds.
        seed: Seed, 1 or larger; the same seed gives the same embeddings.

    Returns:
        (S, N, 3) float64 positions [Å], S ≤ ``count``; none of a molecule without labels.

    Example:
        >>> from rdkit import Chem
        >>> housane = Chem.AddHs(Chem.MolFromSmiles("C1C[C@]2(F)[C@@H]1C2"))
        >>> embed_any_isomer(housane, 2, seed=1).shape
        (2, 13, 3)
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    graph, free = molecule_graph(mol), Chem.Mol(mol)
    if not len(graph.centres) and not len(graph.double_bonds):
        return np.empty((0, len(graph), 3))
    Chem.RemoveStereochemistry(free)
    options = rdDistGeom.ETKDGv3()
    options.maxIterations = _ITERATIONS
    if hasattr(options, "timeout"):
        options.timeout = _SECONDS
    kept: list[np.ndarray] = []
    end = time.monotonic() + _SECONDS
    with rdBase.BlockLogs():
        for attempt in range(_MOST):
            options.randomSeed = (seed * _MOST + attempt) % _LARGEST
            options.useRandomCoords = attempt >= _MOST // 2
            if rdDistGeom.EmbedMolecule(free, options) == 0:
                pos = np.array(free.GetConformer().GetPositions())
                kept += [one for one in (pos, -pos) if stereo_kept(graph, one[None])[0]]
            if len(kept) >= count or time.monotonic() > end:
                break
    return np.array(kept[:count]).reshape(-1, len(graph), 3)
