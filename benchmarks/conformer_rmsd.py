"""Symmetry-aware deviations of many conformers beside a loop over RDKit's ``GetBestRMS``, one thread.

    python benchmarks/conformer_rmsd.py [--molecules 60] [--ensembles qm9xtb_test.npz]

Each molecule has 2K samples for K references, as in the published metrics. Without ``--ensembles`` the
molecules are a few drugs with K = 10. Both results are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _processor import processor
from rdkit import Chem, rdBase
from rdkit.Chem import rdMolAlign

from equizoo.data.conformer_files import read_ensembles
from equizoo.data.conformer_metrics import best_rmsds
from equizoo.data.embeddings import embed_many
from equizoo.data.graph_symmetry import graph_symmetries
from equizoo.data.molecule_graphs import molecule_graph

DRUGS = (
    "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",
    "CN1CCC[C@H]1c1cccnc1",
    "CC(C)NCC(O)COc1cccc2ccccc12",
    "CN(C)CCOC(c1ccccc1)c1ccccc1",
    "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1",
    "Cc1ccc(cc1)-c1cc(nn1-c1ccc(cc1)S(N)(=O)=O)C(F)(F)F",
)


def with_conformers(mol: Any, pos: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return the heavy atoms of a molecule with conformers, and their positions ``(K, H, 3)``."""
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() != 1]
    light = Chem.RemoveAllHs(mol)
    light.RemoveAllConformers()
    for one in pos[:, heavy]:
        conformer = Chem.Conformer(len(heavy))
        conformer.SetPositions(one)
        light.AddConformer(conformer, assignId=True)
    return light, pos[:, heavy]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=int, default=60)
    parser.add_argument("--ensembles", type=Path, help="such as qm9xtb_test.npz")
    options = parser.parse_args()
    if options.ensembles:
        cases = [(one.mol, one.conformers) for one in read_ensembles(options.ensembles)[: options.molecules]]
    else:
        mols = [Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in DRUGS[: options.molecules]]
        cases = [(mol, embed_many(mol, 10, seed=1)) for mol in mols]
    ratios, search, ours_all, theirs_all, pairs, farthest = [], 0.0, 0.0, 0.0, 0, 0.0
    best_rmsds(np.eye(3)[None], np.eye(3)[None], np.arange(3)[None])  # the first call is slower
    for mol, references in cases:
        samples = embed_many(mol, 2 * len(references), seed=2)
        probe, sampled = with_conformers(mol, samples)
        target, given = with_conformers(mol, references)
        begin = time.process_time()
        symmetries = graph_symmetries(molecule_graph(mol))
        start = time.process_time()
        ours = best_rmsds(sampled, given, symmetries)
        middle = time.process_time()
        theirs = np.array(
            [
                [rdMolAlign.GetBestRMS(probe, target, p, r) for r in range(len(given))]
                for p in range(len(sampled))
            ]
        )
        end = time.process_time()
        ratios.append((end - middle) / (middle - start))
        ours_all, theirs_all = ours_all + middle - start, theirs_all + end - middle
        search += start - begin
        pairs += ours.size
        farthest = max(farthest, float(np.abs(ours - theirs).max()))
    print(f"{processor()}, RDKit {rdBase.rdkitVersion}, one thread")
    print(f"{len(cases)} molecules, {pairs} pairs, largest difference {farthest:.1e} Å")
    print(f"GetBestRMS {1e6 * theirs_all / pairs:8.1f} µs CPU a pair")
    print(f"ours       {1e6 * ours_all / pairs:8.1f} µs CPU a pair")
    print(f"symmetries {1e6 * search / len(cases):8.1f} µs CPU a molecule, once")
    print(f"ratio {theirs_all / ours_all:.1f} in all, {statistics.median(ratios):.1f} median over molecules")
    print(f"ratio {theirs_all / (ours_all + search):.1f} in all with symmetries found anew")


if __name__ == "__main__":
    main()
