"""Readers of molecules with reference conformers: ensembles, QM9's geometries, drugs, bound ligands.

References:
    R. Ramakrishnan et al., Scientific Data 1, 140022 (2014): QM9, one B3LYP geometry a molecule (CC0).
    D. L. Folmsbee, G. R. Hutchison, Int. J. Quantum Chem. 121, e26381 (2021): drug-like molecules with up to
    ten conformers (MIT; github.com/ghutchis/conformer-benchmark).
    Z. Wang et al., Briefings in Bioinformatics 24, bbac514 (2023): protein-bound ligands (MIT;
    github.com/wangzhehyd/fastsmcg).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equizoo.data.conformer_ensemble import Ensemble
from equizoo.data.conformers import ConformerSet
from equizoo.data.geometry_graphs import label_double_bonds, molecule_from_bonds, order_of_atoms
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from equizoo.data.qm9 import standard_split
from equizoo.data.qm9_files import read_prepared, read_smiles_table

_HUTCHISON_ENERGY = "dlpno"


class Reference(NamedTuple):
    """A molecule of N atoms with K reference conformers.

    Attributes:
        smiles: Its SMILES, stereochemistry included.
        mol: RDKit ``Mol`` with explicit hydrogens, without conformers.
        conformers: (K, N, 3) float64 [Å] in the order of the atoms of ``mol``.
        energy: (K,) float64 [kcal/mol] from any zero; zeros where it is not known.
        name: What the molecule is called where it comes from.
    """

    smiles: str
    mol: Any
    conformers: np.ndarray
    energy: np.ndarray
    name: str


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an ``.npz`` file; what is wrong with it is said with its name."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except (KeyError, ValueError, IndexError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or something else: {error}") from error


def _cuts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts.astype(np.int64))])


def read_ensembles(path: Path) -> list[Reference]:
    """Read ensembles of GFN2-xTB conformers, such as ``qm9xtb_train.npz``.

    Args:
        path: The file: ``smiles``, ``index``, ``n_atoms``, ``n_confs``, ``pos`` (R, 3) [Å] with the
            conformers of a molecule one after another, ``energy`` [kcal/mol]. Atoms are in the order of
            ``Chem.AddHs(Chem.MolFromSmiles(smiles))``. A file of :mod:`equizoo.data.ensemble_builder` is
            read as well.

    Returns:
        The molecules; ``name`` is the number of the molecule in QM9, and the SMILES in a file of the builder,
        which has no numbers.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; make it: python -m equizoo.data.ensemble_builder SMILES_FILE --out {path}"
        )
    with _opened(path) as arrays:
        built = "counts" in arrays
    if built:
        return [_built(path, row, one) for row, one in enumerate(ConformerSet.load(path))]
    with _opened(path) as arrays:
        smiles, index, pos, energy = (arrays[name] for name in ("smiles", "index", "pos", "energy"))
        atoms, confs = arrays["n_atoms"].astype(np.int64), arrays["n_confs"].astype(np.int64)
        row, first, made = _cuts(atoms * confs), _cuts(confs), []
        for i, text in enumerate(smiles.tolist()):
            mol = _with_hydrogens(text, i)
            conformers = pos[row[i] : row[i + 1]].reshape(confs[i], mol.GetNumAtoms(), 3)
            energies = energy[first[i] : first[i + 1]]
            made.append(Reference(text, mol, conformers.astype(np.float64), energies, str(index[i])))
    return made


def _with_hydrogens(smiles: str, row: int) -> Any:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise ValueError(f"row {row}: {smiles!r} is no SMILES")
    return Chem.AddHs(mol)


def _built(path: Path, row: int, ensemble: Ensemble) -> Reference:
    try:
        mol = _with_hydrogens(ensemble.smiles, row)
        if [atom.GetAtomicNum() for atom in mol.GetAtoms()] != ensemble.graph.z.tolist():
            raise ValueError(f"row {row}: its atoms are not in the order of {ensemble.smiles!r}")
    except ValueError as error:
        raise ValueError(f"{path} is damaged or something else: {error}") from error
    conformers = ensemble.conformers.astype(np.float64)
    return Reference(ensemble.smiles, mol, conformers, ensemble.energy, ensemble.smiles)


def read_qm9_geometries(folder: Path, numbers: np.ndarray) -> Iterator[Reference | None]:
    """Read the B3LYP geometries of molecules of QM9 with their atoms in the order of their SMILES.

    Args:
        folder: The folder with ``qm9.npz`` and ``qm9_smiles.tsv.gz`` (columns: number, SMILES of the
            molecule, SMILES of its geometry).
        numbers: (M,) numbers of the molecules in QM9.

    Yields:
        Each molecule, its double bonds labelled cis or trans by the geometry where the SMILES does not; None
        where its SMILES has radicals or charges or is not that of its geometry.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or lacks a molecule or the column of the SMILES of the geometries.
    """
    from rdkit import Chem, rdBase

    raw = read_prepared(folder / "qm9.npz")
    table = read_smiles_table(folder / "qm9_smiles.tsv.gz")
    if any(len(columns) < 2 for columns in table.values()):
        raise ValueError(
            f"{folder / 'qm9_smiles.tsv.gz'} has no third column, the SMILES of the geometries; make it "
            "again from dsgdb9nsd.xyz.tar.bz2 with equizoo.data.qm9_files.write_prepared"
        )
    texts = {number: columns[1] for number, columns in table.items()}
    places, row = {int(k): i for i, k in enumerate(raw.index)}, _cuts(raw.n_atoms)
    for number in np.asarray(numbers).tolist():
        if number not in places or number not in texts:
            raise ValueError(f"{folder}: molecule {number} has no geometry or no SMILES")
        part = slice(row[places[number]], row[places[number] + 1])
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(texts[number])
        order = None
        if mol is not None and not any(map(_open_shell_or_charged, mol.GetAtoms())):
            mol = Chem.AddHs(mol)
            order = order_of_atoms(mol, raw.z[part], raw.pos[part])
        if order is None:
            yield None
        else:
            pos = raw.pos[part][order]
            yield Reference(texts[number], label_double_bonds(mol, pos), pos[None], np.zeros(1), str(number))


def _open_shell_or_charged(atom: Any) -> bool:
    return bool(atom.GetNumRadicalElectrons() or atom.GetFormalCharge())


def qm9_training_numbers(folder: Path) -> np.ndarray:
    """Return the numbers (M,) of the molecules in the training part of QM9's standard split."""
    raw = read_prepared(folder / "qm9.npz")
    return raw.index[standard_split(raw.index, raw.uncharacterized) == 0]


def read_hutchison(path: Path) -> list[Reference]:
    """Read drug-like molecules with up to ten conformers each, such as ``drugconf_hutchison.npz``.

    Args:
        path: The file; only molecules whose graph is that of their SMILES, and conformers with the bonds of
            their graph and the stereochemistry of the first one, are taken.

    Returns:
        The molecules; energies are DLPNO-CCSD(T), where all conformers of the molecule have them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged.
    """
    with _opened(path) as arrays:
        energies = arrays["energy"][:, arrays["energy_cols"].tolist().index(_HUTCHISON_ENERGY)]
        usable = arrays["conf_graph_ok"], arrays["graph_from_smiles"]
        return _read_molfiles(arrays, arrays["n_confs"], energies, *usable)


def read_bound_ligands(path: Path) -> list[Reference]:
    """Read protein-bound ligands, one crystal geometry each, such as ``boundlig_fastsmcg.npz``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged.
    """
    with _opened(path) as arrays:
        ones = np.ones(len(arrays["n_atoms"]), dtype=np.int64)
        return _read_molfiles(arrays, ones, np.zeros(len(ones)), ones > 0, ones > 0)


def _read_molfiles(
    arrays: Any, confs: np.ndarray, energy: np.ndarray, conformer_ok: np.ndarray, molecule_ok: np.ndarray
) -> list[Reference]:
    """Build molecules from bonds in Kekulé form; the stereochemistry is that of the first conformer."""
    from rdkit import Chem

    atoms, confs = arrays["n_atoms"].astype(np.int64), confs.astype(np.int64)
    z, charge, bonds = arrays["z"], arrays["formal_charge"], arrays["bonds"]
    pos = arrays["pos"] * float(arrays["pos_step"])
    names = arrays["mol_name"].tolist()
    atom, bond, conf, row = (_cuts(c) for c in (atoms, arrays["n_bonds"], confs, atoms * confs))
    made = []
    for i in np.flatnonzero(molecule_ok).tolist():
        part = slice(conf[i], conf[i + 1])
        good = conformer_ok[part]
        geometries = pos[row[i] : row[i + 1]].reshape(confs[i], atoms[i], 3)[good]
        energies = energy[part][good]
        own = slice(atom[i], atom[i + 1])
        if not len(geometries):
            continue
        mol = molecule_from_bonds(z[own], charge[own], bonds[bond[i] : bond[i + 1]], geometries[0])
        if mol is None:
            continue
        kept = stereo_kept(molecule_graph(mol), geometries)
        energies = energies[kept] if np.isfinite(energies).all() else np.zeros(int(kept.sum()))
        smiles = Chem.MolToSmiles(Chem.RemoveHs(mol))
        made.append(Reference(smiles, mol, geometries[kept], energies, names[i]))
    return made
