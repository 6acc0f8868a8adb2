"""Files of conformers: a record a conformer, of one or many molecules; ``.sdf`` or ``.xyz``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from equizoo._replacing import replacing
from equizoo.pipelines.conformer_result import Conformers
from equizoo.pipelines.writing import check_ending

_UNIT = "kcal/mol"


class NothingToWrite(ValueError):
    """There is no conformer to write."""


def write_conformers(answers: Sequence[Conformers], path: str | os.PathLike[str]) -> None:
    """Write conformers in the format that the name of the file ends in.

    Args:
        answers: What the pipeline returned; those without an answer are left out.
        path: The file, ``.sdf`` or ``.xyz``; it appears whole or not at all.

    Raises:
        WrongEnding: The name ends otherwise.
        NothingToWrite: No molecule was answered.

    Example:
        >>> write_conformers([], "conformers.pdb")
        Traceback (most recent call last):
        equizoo.pipelines.writing.WrongEnding: 'conformers.pdb' must end in .sdf or .xyz
    """
    WRITERS[check_ending(path, WRITERS)](answers, path)


def write_sdf(answers: Sequence[Conformers], path: str | os.PathLike[str]) -> None:
    """Write an SDF file: a record a conformer, with its energy, rank and sample as data fields.

    Args:
        answers: What the pipeline returned; those without an answer are left out.
        path: The file; it appears whole or not at all.

    Raises:
        NothingToWrite: No molecule was answered.
    """
    _write(answers, path, _sdf_records)


def write_xyz(answers: Sequence[Conformers], path: str | os.PathLike[str]) -> None:
    """Write an XYZ file: a frame a conformer, with its name and energy in the comment.

    Args:
        answers: What the pipeline returned; those without an answer are left out.
        path: The file; it appears whole or not at all.

    Raises:
        NothingToWrite: No molecule was answered.
    """
    _write(answers, path, _xyz_frames)


#: How a file is written, by the end of its name.
WRITERS = {".sdf": write_sdf, ".xyz": write_xyz}


def _write(
    answers: Sequence[Conformers],
    path: str | os.PathLike[str],
    records: Callable[[Conformers], Iterator[str]],
) -> None:
    if not any(len(answer) for answer in answers):
        raise NothingToWrite(f"there are no conformers to write to {Path(path).name!r}")
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for answer in answers:
            file.writelines(records(answer))


def _title(answer: Conformers) -> str:
    """Return a name of one line that no reader takes for anything else."""
    text = " ".join((answer.name or answer.smiles or answer.source).split())
    return text.replace("$$$$", "")[:80]


def _energies(answer: Conformers, row: int) -> dict[str, str]:
    if answer.energies is None or not np.isfinite(answer.energies[row]):
        return {}
    values = {"energy": answer.energies[row], "relative energy": answer.relative_energies[row]}
    return {f"{name} [{_UNIT}]": f"{value:.4f}" for name, value in values.items()} | {
        "energy method": answer.method or ""
    }


def _sdf_records(answer: Conformers) -> Iterator[str]:
    from rdkit import Chem

    if not answer.ok or answer.samples is None:
        return
    mol = Chem.Mol(answer.mol)
    mol.SetProp("_Name", _title(answer))
    for row in range(len(answer)):
        fields = {"SMILES": answer.smiles or "", "rank": str(row + 1), "sample": str(answer.samples[row])}
        fields |= _energies(answer, row)
        data = "".join(f">  <{name}>\n{value}\n\n" for name, value in fields.items())
        yield f"{Chem.MolToMolBlock(mol, confId=row)}{data}$$$$\n"


def _xyz_frames(answer: Conformers) -> Iterator[str]:
    if not answer.ok or answer.samples is None:
        return
    symbols = [atom.GetSymbol() for atom in answer.mol.GetAtoms()]
    for row, positions in enumerate(answer.positions):
        about = [_title(answer), f"rank {row + 1}", f"sample {answer.samples[row]}"]
        about += [f"{name} {value}" for name, value in _energies(answer, row).items()]
        lines = [
            f"{symbol:<2} {x:13.6f} {y:13.6f} {z:13.6f}"
            for symbol, (x, y, z) in zip(symbols, positions, strict=True)
        ]
        yield "\n".join([str(len(symbols)), "; ".join(about), *lines, ""])
