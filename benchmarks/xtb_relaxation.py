"""GFN2-xTB relaxations that begin with MMFF94's Hessian beside ASE's usual BFGS, one thread.

    python benchmarks/xtb_relaxation.py [--force 0.01]

Both start from the same MMFF94 minima, end where no force is larger than ``--force`` [eV/Å], and their
energies are compared; the time of the Hessian is counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from _processor import processor

from equizoo.data.embeddings import embed_many, relax_mmff
from equizoo.data.ensembles import checked_molecule
from equizoo.data.tight_binding import relax_molecule, relax_tight_binding

SMALL = (
    "C[C@H](O)CC#N",
    "CC(=O)NCC=O",
    "COC[C@H]1CCC[C@H]1C",
    "OC[C@@H]1CN1",
    "CC#CC[C@@](C)(O)C=O",
    "Cc1cnc(O)c(O)n1",
    "CCC[C@H]1C[C@@H](C)C1",
    "O=CCC1=CC[C@H]2N[C@@H]12",
    "C[C@@]12C[C@H]3C[C@@H]1O[C@@]23C",
    "NC(=O)CCCO",
)
DRUGS = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",
    "CN1CCC[C@H]1c1cccnc1",
    "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--force", type=float, default=0.01, help="[eV/Å]")
    force = parser.parse_args().force
    print(f"{processor()}, one thread, no force above {force:g} eV/Å")
    for title, molecules in {"molecules as in QM9": SMALL, "drugs": DRUGS}.items():
        usual, ours, above, ratios = 0.0, 0.0, [], []
        for smiles in molecules:
            mol = checked_molecule(smiles)
            (start,), _ = relax_mmff(mol, embed_many(mol, 1, seed=0))
            z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
            begin = time.process_time()
            plain = relax_tight_binding(z, start, force, steps=1000)
            middle = time.process_time()
            helped = relax_molecule(mol, start, force, steps=1000)
            end = time.process_time()
            if not (plain and helped and plain.converged and helped.converged):
                raise RuntimeError(f"{smiles}: a relaxation did not converge")
            usual, ours = usual + middle - begin, ours + end - middle
            ratios.append((middle - begin) / (end - middle))
            above.append(helped.after - plain.after)
        count = len(molecules)
        print(f"{title}: usual {usual / count:.2f} s, ours {ours / count:.2f} s CPU a relaxation; ratio "
              f"{usual / ours:.1f} in all, {statistics.median(ratios):.1f} median")  # fmt: skip
        print(f"  energy of ours above the usual: {min(above):.2f} to {max(above):.2f} kcal/mol, "
              f"median {statistics.median(above):.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
