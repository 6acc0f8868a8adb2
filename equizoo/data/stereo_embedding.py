"""Embeddings of strained cages, of which ETKDGv3 finds the shape but refuses the stereochemistry.

RDKit wants every labelled centre inside the tetrahedron of its neighbours, where those of fused small rings
need not be: of the molecules of QM9, written with the stereochemistry of their geometries, 7 % cannot be
embedded. Without labels most of these can, as one stereoisomer or another, of which the one that was asked
for is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.molecule_graphs import molecule_graph, stereo_kept

_AT_ONCE, _MOST, _ITERATIONS, _SECONDS = 20, 200, 2, 20


def embed_any_isomer(mol: Any, count: int, seed: int) -> np.ndarray:
    """Embed a molecule without its stereo labels, and keep what has the stereochemistry that they ask for.

    An embedding whose mirror image has it is mirrored.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens.
        count: Number of embeddings; no more than 200 are tried.
        seed: Seed, 1 or larger; the same seed gives the same embeddings.

    Returns:
        (S, N, 3) float64 positions [Å], S ≤ ``count``.

    Example:
        >>> from rdkit import Chem
        >>> housane = Chem.AddHs(Chem.MolFromSmiles("C1C[C@]2(F)[C@@H]1C2"))
        >>> embed_any_isomer(housane, 2, seed=1).shape
        (2, 13, 3)
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    graph, free = molecule_graph(mol), Chem.Mol(mol)
    Chem.RemoveStereochemistry(free)
    options = rdDistGeom.ETKDGv3()
    options.maxIterations = _ITERATIONS
    if hasattr(options, "timeout"):
        options.timeout = _SECONDS
    kept = np.empty((0, len(graph), 3))
    with rdBase.BlockLogs():
        for start in range(0, _MOST, _AT_ONCE):
            options.randomSeed = seed + start
            options.useRandomCoords = start >= _MOST // 2
            rdDistGeom.EmbedMultipleConfs(free, _AT_ONCE, options)
            pos = np.array([one.GetPositions() for one in free.GetConformers()]).reshape(-1, len(graph), 3)
            pos = np.where(stereo_kept(graph, -pos)[:, None, None], -pos, pos)
            kept = np.concatenate([kept, pos[stereo_kept(graph, pos)]])
            if len(kept) >= count:
                break
    return kept[:count]
