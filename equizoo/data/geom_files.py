"""GEOM: conformer ensembles of drug-like molecules and of QM9, read from its original msgpack files.

References:
    S. Axelrod, R. Gómez-Bombarelli, "GEOM, energy-annotated molecular conformations for property prediction
    and molecular generation", Scientific Data 9, 185 (2022); Harvard Dataverse, doi:10.7910/DVN/JNGTDF (CC0).
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from equizoo.data.conformer_files import Reference
from equizoo.data.geometry_graphs import order_of_atoms, same_bonds
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from equizoo.data.qm9_files import Source

_URL = "https://dataverse.harvard.edu/dataset.xhtml?persistentId=doi:10.7910/DVN/JNGTDF"
SOURCES = {
    name: Source(name, _URL, "CC0", md5)
    for name, md5 in (
        ("drugs_crude.msgpack.tar.gz", "7778e84c50b7cde755cca670d1f75091"),
        ("qm9_crude.msgpack.tar.gz", "aad0081ed5d9b8c93c2bd0235987573b"),
    )
}

_LARGEST_BLOCK = 2**31 - 1  # [bytes] of a thousand molecules


def read_geom(
    path: Path,
    most: int | None = 30,
    molecules: int | None = None,
    wanted: Callable[[str], bool] | None = None,
) -> Iterator[Reference | None]:
    """Read the ensembles of ``drugs_crude.msgpack`` or ``qm9_crude.msgpack``, a molecule at a time.

    Args:
        path: The file, or its ``.tar.gz`` archive as it is published.
        most: Largest number of conformers of a molecule, those of the highest Boltzmann weight: 30 for
            training, as published; None keeps all, which the published metrics are over.
        molecules: Number of molecules to read; all unless given.
        wanted: Says by the SMILES of a molecule in the file whether it is yielded; all are unless given.

    Yields:
        Each molecule, its conformers lowest energy first; None where RDKit does not read its SMILES, or none
        of these conformers has the bonds and the stereochemistry of the SMILES.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: msgpack is not installed.
        ValueError: The file is damaged, ends early or is something else.
    """
    try:
        import msgpack
    except ImportError as error:
        raise ImportError("GEOM's files need msgpack: pip install 'equizoo[conformers]'") from error
    with _opened(path) as file:
        blocks = msgpack.Unpacker(file, max_buffer_size=_LARGEST_BLOCK, raw=False, strict_map_key=False)
        try:
            for smiles, record in islice(_entries(blocks, file), molecules):
                if wanted is not None and not wanted(smiles):
                    continue
                yield _reference(smiles, record["conformers"], most)
        except (msgpack.UnpackException, AttributeError, KeyError, TypeError, ValueError, EOFError) as error:
            raise ValueError(f"{path} is damaged or no file of GEOM: {error!r}") from error


def _entries(blocks: Any, file: IO[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    whole = 0  # bytes of the blocks that are complete
    for block in blocks:
        whole = blocks.tell()
        yield from block.items()
    if not whole or whole != file.tell():
        raise ValueError(f"it ends within a block of molecules, after byte {whole}")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if not path.name.endswith((".tar.gz", ".tgz")):
        with open(path, "rb") as file:
            yield file
        return
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                inside = archive.extractfile(member) if member.name.endswith(".msgpack") else None
                if inside is not None:
                    yield inside
                    return
    except tarfile.TarError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    raise ValueError(f"{path} has no .msgpack file in it")


def _reference(smiles: str, conformers: list[dict[str, Any]], most: int | None) -> Reference | None:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or not conformers:
        return None
    mol = Chem.AddHs(mol)
    best = sorted(conformers, key=lambda one: -one["boltzmannweight"])[:most]
    rows = np.array([one["xyz"] for one in best], dtype=np.float64)  # (K, N, 4)
    energy = np.array([one["relativeenergy"] for one in best], dtype=np.float64)
    orders = (order_of_atoms(mol, row[:, 0].astype(np.int64), row[:, 1:]) for row in rows)
    order = next((one for one in orders if one is not None), None)
    if order is None:
        return None
    graph, pos = molecule_graph(mol), rows[:, order, 1:]
    kept = same_bonds(graph.bonds, graph.z, pos) & stereo_kept(graph, pos)
    lowest = np.argsort(energy[kept], kind="stable")
    return Reference(smiles, mol, pos[kept][lowest], energy[kept][lowest], smiles)
