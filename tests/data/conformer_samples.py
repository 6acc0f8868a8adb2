"""Molecules with embedded geometries for the tests of conformers."""

from __future__ import annotations

from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformer_pairs import nearest_pairs
from equizoo.data.molecule_graphs import molecule_graph
from equizoo.data.molecule_symmetry import bond_symmetries


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
