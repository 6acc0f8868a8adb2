"""Molecules with embedded geometries for the tests of conformers."""

from __future__ import annotations

from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformer_pairs import nearest_pairs
from equizoo.data.molecule_graphs import molecule_graph
from equizoo.data.molecule_symmetry import LIMIT, _heavy, _matches, bond_symmetries


def embedded(smiles: str, conformers: int, seed: int = 7) -> tuple[Any, np.ndarray]:
    """Return an RDKit molecule and ETKDG geometries ``(K, N, 3)``."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    options = rdDistGeom.ETKDGv3()
    options.randomSeed = seed
    assert len(rdDistGeom.EmbedMultipleConfs(mol, conformers, options)) == conformers
    return mol, np.stack([conformer.GetPositions() for conformer in mol.GetConformers()])


def ensemble(smiles: str, conformers: int = 2, starts: int = 3) -> Ensemble:
    """Return a molecule whose references and starts are both ETKDG geometries."""
    mol, pos = embedded(smiles, conformers)
    graph = molecule_graph(mol)
    pairs = None
    if starts:
        pairs = nearest_pairs(graph, bond_symmetries(mol), embedded(smiles, starts, 11)[1], pos)
    return Ensemble.of(smiles, graph, pos, np.arange(conformers) * 0.5 + 3, pairs)


def heavy_symmetries(mol: Any, limit: int = LIMIT) -> np.ndarray:
    """Return the relabellings of RDKit's ``GetBestRMS``, found by RDKit."""
    heavy = _heavy(mol)
    for atom in heavy.GetAtoms():
        for element in (7, 8):
            ends = [
                bond
                for bond in atom.GetBonds()
                if bond.GetOtherAtom(atom).GetAtomicNum() == element
                and bond.GetOtherAtom(atom).GetDegree() == 1
                and bond.GetBondType() in (Chem.BondType.SINGLE, Chem.BondType.DOUBLE)
            ]
            if len({bond.GetBondType() for bond in ends}) == 2:
                for bond in ends:
                    bond.SetBondType(Chem.BondType.ONEANDAHALF)
                    bond.GetOtherAtom(atom).SetFormalCharge(0)
    return _matches(heavy, limit)
