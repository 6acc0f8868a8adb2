"""From an entry of the input to checked atoms with positions, or to the reason why not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equizoo.pipelines.geometry import Refused, check_geometry, embed, relax_xtb
from equizoo.pipelines.readers import Coordinates, Entry

_NEUTRAL = 1e-3  # partial charges that sum to less are those of a neutral molecule [e]
_BRACKET = re.compile(r"\[\d*([A-Z][a-z]?|[a-z]{1,2})")


@dataclass(frozen=True)
class Molecule:
    """A neutral closed-shell molecule, ready for a model.

    Attributes:
        z: (n,) int64 atomic numbers.
        pos: (n, 3) float64 positions [Å].
        geometry: Where the positions come from: ``"given"``, ``"mmff"`` or ``"xtb"``.
        smiles: Canonical SMILES, if the bonds are known.
        oddity: What is unlike the training set in the geometry, or None.
    """

    z: np.ndarray
    pos: np.ndarray
    geometry: str
    smiles: str | None
    oddity: str | None

    @property
    def formula(self) -> str:
        """Sum formula in Hill order, such as ``C2H6O``."""
        from rdkit import Chem

        counts = Counter(Chem.GetPeriodicTable().GetElementSymbol(int(k)) for k in self.z)
        order = sorted(counts, key=lambda s: (s != "C", s != "H", s) if "C" in counts else (True, True, s))
        return "".join(f"{s}{counts[s] if counts[s] > 1 else ''}" for s in order)


@dataclass(frozen=True)
class Preparation:
    """How molecules are made ready.

    Attributes:
        elements: Symbols of the elements that the model knows.
        max_atoms: Largest number of atoms, hydrogens included.
        geometry: How geometries are made where none is given: ``"mmff"`` or ``"xtb"``.
        seed: Seed of the embedding.
    """

    elements: tuple[str, ...]
    max_atoms: int = 200
    geometry: str = "mmff"
    seed: int = 0

    def prepare(self, entry: Entry) -> Molecule:
        """Return the molecule of an entry.

        Raises:
            Refused: It cannot be answered; the message says why.
        """
        if entry.error is not None:
            raise Refused(entry.error)
        if isinstance(entry.item, Coordinates):
            return self._from_coordinates(entry.item)
        return self._from_graph(
            parse_smiles(entry.item, self.max_atoms) if isinstance(entry.item, str) else entry.item
        )

    def _check_size(self, n: int) -> None:
        if n == 0:
            raise Refused("the input is empty: there are no atoms")
        if n > self.max_atoms:
            raise Refused(f"{n} atoms are more than the limit of {self.max_atoms} (max_atoms)")

    def _check_elements(self, symbols: Sequence[str]) -> None:
        foreign = sorted(set(symbols) - set(self.elements))
        if foreign:
            raise Refused(f"element {', '.join(foreign)} is outside the model's {', '.join(self.elements)}")

    def _from_coordinates(self, item: Coordinates) -> Molecule:
        self._check_size(len(item.elements))
        numbers, symbols = _elements(item.elements)
        self._check_elements(symbols)
        if not abs(item.charge) <= _NEUTRAL:
            raise Refused(f"its charge is {item.charge:+g}; the model knows neutral molecules only")
        pos = np.asarray(item.positions, dtype=np.float64)
        if pos.shape != (len(numbers), 3):
            raise Refused(
                f"{len(numbers)} atoms need positions of shape ({len(numbers)}, 3), got {pos.shape}"
            )
        z = np.array(numbers, dtype=np.int64)
        oddity = check_geometry(z, pos)
        if len(z) == 1:
            raise Refused("a bare atom is not a closed-shell molecule")
        if z.sum() % 2:
            raise Refused(
                f"it has {z.sum()} electrons, an odd number: a radical or an ion, or a hydrogen is missing"
            )
        return Molecule(z, pos, "given", None, oddity)

    def _from_graph(self, mol: Any) -> Molecule:
        from rdkit import Chem, rdBase

        self._check_size(mol.GetNumAtoms())
        self._check_elements([atom.GetSymbol() for atom in mol.GetAtoms()])
        with rdBase.BlockLogs():
            mol = sanitized(mol)
            _check_closed_shell(mol)
            self._check_size(mol.GetNumAtoms() + _implicit_hydrogens(mol))
            smiles = Chem.MolToSmiles(Chem.RemoveHs(mol))
            if mol.GetNumConformers() and mol.GetConformer().Is3D():
                pos, geometry = _given_positions(mol), "given"
            else:
                mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
                pos, geometry = embed(mol, self.seed), self.geometry
        z = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.int64)
        if geometry == "xtb":
            pos = relax_xtb(mol, pos).pos
        return Molecule(z, pos, geometry, smiles, check_geometry(z, pos))


def parse_smiles(text: str, max_atoms: int) -> Any:
    """Return the RDKit ``Mol`` of a SMILES string, not all of which may be sane; see :func:`sanitized`.

    Args:
        text: The SMILES string.
        max_atoms: Strings that could only be of larger molecules are not parsed.

    Raises:
        Refused: It is empty, too long, or no SMILES; the message says what is wrong.

    Example:
        >>> parse_smiles("CCO", max_atoms=9).GetNumAtoms()
        3
    """
    from rdkit import Chem, rdBase

    if not text:
        raise Refused("the input is empty: a SMILES string or a file name was expected")
    if len(text) > 20 * max_atoms:
        raise Refused(f"{len(text)} characters of SMILES are more than {max_atoms} atoms (max_atoms)")
    if len(text.split()) > 1:
        raise Refused("there are spaces in the SMILES; give several molecules as a list")
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text)
        if mol is None:  # unsanitised, it can still say what is wrong with it
            mol = Chem.MolFromSmiles(text, sanitize=False)
    if mol is not None:
        return mol
    table = {Chem.GetPeriodicTable().GetElementSymbol(k).lower() for k in range(1, 119)}
    unknown = [symbol for symbol in _BRACKET.findall(text) if symbol.lower() not in table]
    if unknown:
        raise Refused(f"not a valid SMILES: there is no element {unknown[0]!r}")
    raise Refused("not a valid SMILES: a ring, bracket or bond may be left open")


def sanitized(mol: Any) -> Any:
    """Return a sanitised copy of an RDKit ``Mol``, its stereochemistry read from 3-D positions if it has any.

    Raises:
        Refused: A valence is impossible or a ring cannot be kekulised; the message says where.
    """
    from rdkit import Chem

    problems = [problem.Message() for problem in Chem.DetectChemistryProblems(mol)]
    if problems:
        raise Refused(f"not a valid molecule: {problems[0]}")
    mol = Chem.Mol(mol)
    Chem.SanitizeMol(mol)
    if mol.GetNumConformers() and mol.GetConformer().Is3D():
        Chem.AssignStereochemistryFrom3D(mol)
    return mol


def _check_closed_shell(mol: Any) -> None:
    from rdkit import Chem

    fragments = len(Chem.GetMolFrags(mol))
    if fragments > 1:
        raise Refused(f"it has {fragments} separate fragments; give one molecule at a time")
    if charge := Chem.GetFormalCharge(mol):
        raise Refused(f"its charge is {charge:+d}; the model knows neutral molecules only")
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise Refused("it is a radical; the model knows closed-shell molecules only")
    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        raise Refused("it has isotope labels; the properties are those of the natural elements")


def _implicit_hydrogens(mol: Any) -> int:
    return sum(atom.GetTotalNumHs() for atom in mol.GetAtoms())


def _given_positions(mol: Any) -> np.ndarray:
    missing = _implicit_hydrogens(mol)
    if missing:
        raise Refused(
            f"{missing} hydrogens have no coordinates; add them with Chem.AddHs(mol, addCoords=True)"
        )
    return np.array(mol.GetConformer().GetPositions())


def _elements(elements: Sequence[Any]) -> tuple[list[int], list[str]]:
    from rdkit import Chem

    table = Chem.GetPeriodicTable()
    numbers = {table.GetElementSymbol(k): k for k in range(1, 119)}
    symbols = {k: symbol for symbol, k in numbers.items()}
    for element in elements:
        if element not in numbers and element not in symbols:
            raise Refused(f"there is no element {element!r}")
    found = [element if element in symbols else numbers[element] for element in elements]
    return found, [symbols[k] for k in found]
