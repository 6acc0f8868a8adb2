"""Molecules in, quantum-chemical properties out.

References:
    J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-Free Predictive Inference for
    Regression", JASA 113, 1094 (2018), Section 2.2: the split-conformal intervals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from equizoo.data.qm9 import ENERGIES, TARGET_NAMES, atom_reference
from equizoo.pipelines import checked_card, checked_seed, require
from equizoo.pipelines.geometry import Refused
from equizoo.pipelines.molecules import Molecule, Preparation
from equizoo.pipelines.molecules_input import expand
from equizoo.pipelines.readers import Entry

GEOMETRIES = ("mmff", "xtb")
NONNEGATIVE = ("mu", "alpha", "r2", "zpve", "Cv")


class MoleculePropertyPipeline:
    """Predict the properties of molecules.

    An input is a SMILES string, an RDKit ``Mol``, ASE ``Atoms``, PyG ``Data`` or ``Batch``, or a path to an
    ``.xyz``, ``.sdf``, ``.smi`` or ``.csv`` file. Coordinates that come with an input are used as they are;
    inputs without any get a geometry from ETKDGv3 and MMFF94, relaxed with GFN2-xTB if asked.

    Inputs that are not one neutral closed-shell molecule of the model's elements are refused with the reason.
    Molecules larger than those the model was trained on, and unusual geometries, are answered with
    ``in_domain`` False and without intervals, since the coverage of the intervals was not measured there.

    Args:
        model: A model with ``forward(z, pos, batch) -> (B, T)`` and its checkpoint's ``card``. Its energies
            U0, U, H, G are relative to free atoms.
        device: Where it runs; where it is unless given.
        geometry: How geometries are made where none is given: ``"mmff"`` or ``"xtb"``.
        seed: Seed of the embedding, 0 to 2³¹ − 1; an answer does not depend on the other inputs.
        batch_size: Molecules a forward pass.
        max_atoms: Largest molecule that is answered, hydrogens included.
        smiles_column: Column of CSV files that has the SMILES; the one named "smiles" unless given.

    Raises:
        MissingExtra: RDKit, or tblite and ASE for ``"xtb"``, are not installed.
        ValueError: There is no such geometry or seed, or the model is not a checkpoint of this task.

    Example:
        >>> from equizoo import pipeline
        >>> predict = pipeline("molecule-properties")  # doctest: +SKIP
        >>> answer = predict("CCO")  # doctest: +SKIP
        >>> answer["properties"]["gap"]  # doctest: +SKIP
        {'value': 9.2, 'unit': 'eV', 'test_mae': 0.06, 'interval': [9.0, 9.4]}
    """

    OPTIONS = ("geometry", "seed", "batch_size", "max_atoms", "smiles_column")

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        geometry: str = "mmff",
        seed: int = 0,
        batch_size: int = 64,
        max_atoms: int = 200,
        smiles_column: str | None = None,
    ) -> None:
        if geometry not in GEOMETRIES:
            raise ValueError(f"geometry must be one of {GEOMETRIES}, got {geometry!r}")
        if batch_size < 1 or max_atoms < 1:
            raise ValueError(f"batch_size and max_atoms must be positive, got {batch_size} and {max_atoms}")
        require("rdkit", "molecules", "reading molecules")
        if geometry == "xtb":
            require("tblite", "xtb", "geometry='xtb'")
            require("ase", "molecules", "geometry='xtb'")
        self.card: Any = checked_card(model)
        self.model = (model if device is None else model.to(device)).eval()
        if unknown := [t.name for t in self.card.targets if t.name not in TARGET_NAMES]:
            raise ValueError(f"the checkpoint predicts {', '.join(unknown)}, which are not properties of QM9")
        self.preparation = Preparation(self.card.domain.elements, max_atoms, geometry, checked_seed(seed))
        self.batch_size, self.smiles_column = batch_size, smiles_column

    def __call__(self, inputs: Any) -> Any:
        """Predict.

        Args:
            inputs: One input, or a list of inputs; a file or a PyG ``Batch`` has many molecules.

        Returns:
            One dict for one molecule; a list of dicts, in order, for a list, a file or a ``Batch``. The keys:

            - ``input``, ``name``, ``source``: what it is called and where it came from;
            - ``ok``, ``error``: whether it was answered, and why not;
            - ``in_domain``, ``domain_reason``: whether the training set has molecules like it, and why not;
            - ``smiles``, ``formula``, ``geometry`` (``"given"``, ``"mmff"`` or ``"xtb"``);
            - ``coverage``: share of the true values that the intervals hold, such as 0.9;
            - ``properties``: ``{name: {"value", "unit", "test_mae", "interval": [low, high] or None}}``;
            - ``atomization``: the energies U0, U, H, G again, relative to free atoms (negative when bound).
        """
        from tqdm import tqdm

        entries, single = expand(inputs, self.smiles_column)
        results: list[dict[str, Any]] = [_blank(entry) for entry in entries]
        ready: list[tuple[dict[str, Any], Molecule]] = []
        progress = tqdm(
            zip(entries, results, strict=True), "molecules", len(entries), leave=False, disable=None, delay=1
        )
        for entry, result in progress:
            try:
                ready.append((result, self.preparation.prepare(entry)))
            except Refused as reason:
                result["error"] = str(reason)
        for start in range(0, len(ready), self.batch_size):
            rows = ready[start : start + self.batch_size]
            for (result, molecule), values, atoms in zip(
                rows, *self._predict([m for _, m in rows]), strict=True
            ):
                self._fill(result, molecule, values, atoms)
        return results[0] if single else results

    @torch.no_grad()
    def _predict(self, molecules: list[Molecule]) -> tuple[np.ndarray, np.ndarray]:
        """Return the (B, T) outputs of the model and the (B, T) energies of the free atoms, both float64."""
        reference = next(self.model.parameters())
        z = torch.from_numpy(np.concatenate([m.z for m in molecules]))
        pos = torch.from_numpy(np.concatenate([m.pos - m.pos.mean(0) for m in molecules]))
        batch = torch.arange(len(molecules)).repeat_interleave(torch.tensor([len(m.z) for m in molecules]))
        device = reference.device
        output: Tensor = self.model(z.to(device), pos.to(reference), batch.to(device))
        atoms = atom_reference(z, batch, len(molecules))
        columns = [TARGET_NAMES.index(target.name) for target in self.card.targets]
        return output.double().cpu().numpy(), atoms[:, columns].numpy()

    def _fill(
        self, result: dict[str, Any], molecule: Molecule, values: np.ndarray, atoms: np.ndarray
    ) -> None:
        if not np.isfinite(values).all():
            result["error"] = "the model's answer is not a finite number"
            return
        reason = self._outside(molecule)
        calibration = self.card.calibration.get(molecule.geometry)
        result |= {
            "ok": True,
            "in_domain": reason is None,
            "domain_reason": reason,
            "smiles": molecule.smiles,
        }
        result |= {
            "formula": molecule.formula,
            "geometry": molecule.geometry,
            "properties": {},
            "atomization": {},
        }
        if calibration is not None and reason is None:
            result["coverage"] = calibration.coverage
        for target, value, atom in zip(self.card.targets, values.tolist(), atoms.tolist(), strict=True):
            half = (
                calibration.half_width.get(target.name)
                if calibration is not None and reason is None
                else None
            )
            mae = calibration.mae.get(target.name) if calibration is not None else None
            floor = 0.0 if target.name in NONNEGATIVE else -np.inf
            result["properties"][target.name] = _quantity(value + atom, target.unit, mae, half, floor)
            if target.name in ENERGIES:
                result["atomization"][target.name] = _quantity(value, target.unit, mae, half)

    def _outside(self, molecule: Molecule) -> str | None:
        heavy, limit = int((molecule.z > 1).sum()), self.card.domain.max_heavy_atoms
        if heavy > limit:
            return f"{heavy} heavy atoms, and the model was trained on at most {limit}"
        if heavy == 0:
            return "no heavy atom, and the model was trained on molecules with at least one"
        return molecule.oddity


def _blank(entry: Entry) -> dict[str, Any]:
    result: dict[str, Any] = {"input": entry.label, "name": entry.name, "source": entry.source, "ok": False}
    unknown = ("error", "in_domain", "domain_reason", "smiles", "formula", "geometry", "coverage")
    return result | dict.fromkeys(unknown) | {"properties": None, "atomization": None}


def _quantity(
    value: float, unit: str, mae: float | None, half: float | None, floor: float = -np.inf
) -> dict[str, Any]:
    interval = None if half is None else [value - half, value + half]
    if interval is not None and interval[1] > floor:
        interval[0] = max(interval[0], floor)
    return {"value": value, "unit": unit, "test_mae": mae, "interval": interval}
