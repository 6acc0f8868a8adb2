"""Conformer flows that need no training: one that hardly moves, one that knows where to go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor, nn

from equizoo.models.conformer_flow import ConformerFlow, ConformerFlowConfig
from equizoo.pipelines import pipeline
from equizoo.pipelines.conformers import ConformerPipeline

DOMAIN = {
    "elements": ("H", "C", "N", "O", "F"),
    "max_heavy_atoms": 9,
    "name": "qm9",
    "prior": "etkdg",
    "steps": 3,
    "molecules": 100,
    "pairs": 400,
}
SHAPE = {"hidden": 8, "layers": 1, "heads": 2, "basis": 4, "pairs": "kinds", "chirality": True}


def small_flow(prior: str = "etkdg", relaxed: bool = False, size: float = 0.02) -> ConformerFlow:
    """Return a flow of random weights whose velocities are ``size`` times as large as they would be."""
    torch.manual_seed(0)
    model = ConformerFlow(ConformerFlowConfig(**SHAPE, prior=prior, relaxed=relaxed))
    with torch.no_grad():
        for parameter in model.gate_2.parameters():
            parameter *= size
    return model.eval()


class Guide(nn.Module):
    """A flow from the harmonic prior to given positions, one after another.

    Args:
        targets: (K, N, 3) positions [Å]; sample k of a batch goes to number k, and so on in turn.
    """

    def __init__(self, targets: Any, prior: str = "harmonic") -> None:
        super().__init__()
        self.targets = nn.Parameter(torch.from_numpy(np.array(targets)).float())
        self.config = SimpleNamespace(prior=prior)

    def forward(self, pos: Tensor, t: Tensor, *batch: Tensor) -> Tensor:
        """Return the velocities (A, 3) that end at the targets at time 1."""
        ends = self.targets[torch.arange(len(t)) % len(self.targets)]
        ends = ends - ends.mean(1, keepdim=True)
        return (ends.flatten(0, 1) - pos) / (1 - t[0])


def build(model: nn.Module | None = None, **options: Any) -> ConformerPipeline:
    """Return the pipeline of a model, that of the small flow unless given."""
    model = small_flow() if model is None else model
    model.card = SimpleNamespace(task="conformers", domain=DOMAIN)
    return pipeline("conformers", model, **options)


def isomer(mol: Any, conformer: int = 0) -> str:
    """Return the canonical SMILES of a conformer, its stereochemistry read from the positions alone."""
    bare = Chem.Mol(mol)
    for atom in bare.GetAtoms():
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    for bond in bare.GetBonds():
        bond.SetStereo(Chem.BondStereo.STEREONONE)
    Chem.AssignStereochemistryFrom3D(bare, conformer)
    return Chem.MolToSmiles(Chem.RemoveHs(bare))
