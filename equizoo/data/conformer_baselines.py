"""What RDKit reaches on the same molecules: ETKDG, and ETKDG relaxed with MMFF94.

References:
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3.
    T. A. Halgren, J. Comput. Chem. 17, 490 (1996): MMFF94.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from equizoo.data.conformer_files import Reference
from equizoo.data.conformer_metrics import best_rmsds, coverage, summary
from equizoo.data.embeddings import embed_many, relax_mmff
from equizoo.data.molecule_symmetry import heavy_symmetries


def rdkit_baselines(
    references: Sequence[Reference], factor: int = 2, threshold: float = 0.5, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Judge ETKDG and ETKDG + MMFF94 by the reference conformers of molecules.

    Args:
        references: Molecules with K reference conformers each.
        factor: Samples a reference conformer; 2 is usual.
        threshold: Of the coverage [Å].
        seed: Of the embeddings.

    Returns:
        For ``"etkdg"`` and ``"etkdg+mmff"``: ``cov_r``, ``amr_r``, ``cov_p``, ``amr_p`` [share, Å] with
        ``mean`` and ``median`` over the molecules, ``seconds`` of CPU time a conformer, ``molecules`` judged
        and ``failed``, those without an embedding or without parameters, which are judged by nothing.

    Raises:
        ValueError: Every molecule failed.
    """
    rows: dict[str, list[dict[str, float]]] = {"etkdg": [], "etkdg+mmff": []}
    spent, made = dict.fromkeys(rows, 0.0), dict.fromkeys(rows, 0)
    for k, one in enumerate(references):
        heavy = [atom.GetIdx() for atom in one.mol.GetAtoms() if atom.GetAtomicNum() != 1]
        symmetries, targets = heavy_symmetries(one.mol), one.conformers[:, heavy]
        start = time.process_time()
        pos = embed_many(one.mol, factor * len(targets), seed + k)
        embedding = time.process_time() - start
        samples = {"etkdg": (pos, embedding)} if len(pos) else {}
        try:
            relaxed = relax_mmff(one.mol, pos)[0]
            samples["etkdg+mmff"] = (relaxed, time.process_time() - start)
        except ValueError:
            pass
        for name, (sampled, seconds) in samples.items():
            if len(sampled):
                rows[name].append(coverage(best_rmsds(sampled[:, heavy], targets, symmetries), threshold))
                spent[name] += seconds
                made[name] += len(sampled)
    if not all(rows.values()):
        raise ValueError("no molecule could be embedded and relaxed")
    return {
        name: {
            **summary(rows[name]),
            "seconds": spent[name] / made[name],
            "molecules": len(rows[name]),
            "failed": len(references) - len(rows[name]),
        }
        for name in rows
    }
