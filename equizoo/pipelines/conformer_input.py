"""From an input to one molecule whose conformers can be asked for, with every stereo element settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from equizoo.data.molecule_graphs import MoleculeGraph, molecule_graph
from equizoo.models.molecule_batch import Molecule
from equizoo.pipelines.conformer_stereo import choose_stereo, stereo_elements
from equizoo.pipelines.geometry import Refused
from equizoo.pipelines.molecules import parse_smiles, sanitized
from equizoo.pipelines.readers import Coordinates, Entry

#: Largest number of heavy atoms that is answered.
MOST_HEAVY_ATOMS = 100
_CHARACTERS = 20  # of SMILES an atom
_KEPT = "only that of tetrahedral centres and double bonds is kept"


@dataclass(frozen=True)
class Subject:
    """A molecule whose conformers can be asked for.

    Attributes:
        mol: RDKit ``Mol`` with explicit hydrogens, every stereo element labelled and no conformer; the atoms
            of the input come first, in its order.
        smiles: Canonical SMILES of this stereo isomer.
        chosen: Number of stereo elements that the input left open and that were chosen; a group of centres
            that are given relative to each other only (``&1``, ``o1``) is one, and taken as it is written.
        charge: Total charge [e].
        constrained: Whether it can be embedded under its stereo labels.
        graph: The molecule as arrays.
        molecule: The molecule for the model.
    """

    mol: Any
    smiles: str
    chosen: int
    charge: int
    constrained: bool
    graph: MoleculeGraph
    molecule: Molecule

    @property
    def heavy_atoms(self) -> int:
        """Number of atoms other than hydrogen."""
        return int(self.mol.GetNumHeavyAtoms())


def read_subject(entry: Entry, elements: Sequence[str], seed: int) -> Subject:
    """Return the molecule of an entry.

    Args:
        entry: A SMILES string or an RDKit ``Mol``. The stereo labels of a ``Mol`` are those of its 3-D
            conformer if it has one; the positions themselves are not used.
        elements: Symbols of the elements that the model knows.
        seed: Seed of the choice of stereo elements that are left open.

    Returns:
        The molecule, all hydrogens explicit.

    Raises:
        Refused: It cannot be answered; the message says why.

    Example:
        >>> read_subject(Entry("propane", "CCC"), ("H", "C"), 0).heavy_atoms
        3
        >>> read_subject(Entry("table salt", "[Na+].[Cl-]"), ("H", "C"), 0)
        Traceback (most recent call last):
        equizoo.pipelines.geometry.Refused: element Cl, Na is outside the model's H, C
    """
    from rdkit import Chem, rdBase

    if entry.error is not None:
        raise Refused(entry.error)
    with rdBase.BlockLogs():
        mol = _graph(entry.item)
        _check_atoms(mol, elements)
        _check_axes(mol)
        sane = sanitized(mol)
        _check_species(sane)
        relative = _relative_groups(sane)
        in_space = mol.GetNumConformers() and mol.GetConformer().Is3D()
        # sanitising again forgets cis and trans; labels read from positions are in the sanitised copy only
        mol = Chem.AddHs(_relabelled(sane if in_space or mol.NeedsUpdatePropertyCache() else mol))
        asked = len(stereo_elements(mol))
        mol, constrained = choose_stereo(mol, seed)
        smiles = Chem.MolToSmiles(Chem.RemoveHs(mol))
        graph = molecule_graph(mol)
    chosen = len(stereo_elements(mol)) - asked + relative
    return Subject(mol, smiles, chosen, Chem.GetFormalCharge(mol), constrained, graph, Molecule.of(graph))


def _graph(item: Any) -> Any:
    if isinstance(item, Coordinates):
        raise Refused(
            "coordinates alone do not say where the bonds are; give a SMILES string, a Mol or an SDF"
        )
    if not isinstance(item, str):
        return item
    from rdkit import Chem

    if len(item) > _CHARACTERS * MOST_HEAVY_ATOMS:
        raise Refused(f"{len(item)} characters of SMILES are more than {MOST_HEAVY_ATOMS} heavy atoms")
    mol = parse_smiles(item, MOST_HEAVY_ATOMS)
    for atom in Chem.MolFromSmiles(item, sanitize=False).GetAtoms():  # sanitising drops such a label
        if atom.GetDegree() == 2 and atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED:
            raise Refused(f"atom {atom.GetIdx() + 1} has allene stereochemistry; {_KEPT}")
    return mol


def _relabelled(mol: Any) -> Any:
    """Return a copy without conformers, its stereo labels in the one form that a SMILES string gives."""
    from rdkit import Chem

    options = Chem.SmilesParserParams()
    options.removeHs = False
    plain = Chem.MolFromSmiles(Chem.MolToSmiles(mol), options)
    if plain is None or plain.GetNumAtoms() != mol.GetNumAtoms():
        raise Refused("not a valid molecule: it has no SMILES of its own")
    written = list(mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
    return Chem.RenumberAtoms(plain, [written.index(atom) for atom in range(len(written))])


def _check_atoms(mol: Any, elements: Sequence[str]) -> None:
    """Check what can be told before the molecule is looked at as chemistry."""
    heavy, total = mol.GetNumHeavyAtoms(), mol.GetNumAtoms()
    if total == 0:
        raise Refused("the input is empty: there are no atoms")
    if heavy > MOST_HEAVY_ATOMS or total > 4 * MOST_HEAVY_ATOMS:
        raise Refused(f"{heavy} heavy atoms are more than the limit of {MOST_HEAVY_ATOMS}")
    if foreign := sorted({atom.GetSymbol() for atom in mol.GetAtoms()} - set(elements)):
        raise Refused(f"element {', '.join(foreign)} is outside the model's {', '.join(elements)}")


def _check_axes(mol: Any) -> None:
    for bond in mol.GetBonds():
        if bond.GetStereo().name.startswith("STEREOATROP"):
            ends = f"atoms {bond.GetBeginAtomIdx() + 1} and {bond.GetEndAtomIdx() + 1}"
            raise Refused(f"the bond of {ends} is an axis of atropisomers; {_KEPT}")


def _relative_groups(mol: Any) -> int:
    """Return the number of groups of centres of which only the configuration to each other is given."""
    return sum(
        group.GetGroupType().name != "STEREO_ABSOLUTE"
        and any(atom.GetChiralTag().name != "CHI_UNSPECIFIED" for atom in group.GetAtoms())
        for group in mol.GetStereoGroups()
    )


def _check_species(mol: Any) -> None:
    from rdkit import Chem

    fragments = len(Chem.GetMolFrags(mol))
    if fragments > 1:
        raise Refused(f"it has {fragments} separate fragments; give one molecule at a time")
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise Refused("it is a radical; the model knows closed-shell molecules only")
    if mol.GetNumHeavyAtoms() == 0 or Chem.AddHs(mol).GetNumAtoms() == 1:
        raise Refused("a single atom or a molecule of hydrogen alone has no conformers")
    known = (Chem.ChiralType.CHI_UNSPECIFIED, Chem.ChiralType.CHI_TETRAHEDRAL_CW)
    known += (Chem.ChiralType.CHI_TETRAHEDRAL_CCW,)
    for atom in mol.GetAtoms():
        if atom.GetChiralTag() not in known:
            kind = atom.GetChiralTag().name.removeprefix("CHI_").lower()
            raise Refused(f"atom {atom.GetIdx() + 1} has {kind} stereochemistry; {_KEPT}")
    kinds = {Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC}
    for bond in mol.GetBonds():
        if bond.GetBondType() not in kinds:
            ends = f"atoms {bond.GetBeginAtomIdx() + 1} and {bond.GetEndAtomIdx() + 1}"
            raise Refused(
                f"the bond of {ends} is {bond.GetBondType().name.lower()}; the model does not know such bonds"
            )
