"""Three molecules of QM9 in the formats the data set is published in, for tests that write small files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

#: Number, atoms, rotational constants, twelve targets in the original units, SMILES.
MOLECULES = {
    1: (
        "C -0.0126981359 1.0858041578 0.0080009958 -0.535689\n"
        "H 0.002150416 -0.0060313176 0.0019761204 0.133921\n"
        "H 1.0117308433 1.4637511618 0.0002765748 0.133922\n"
        "H -0.540815069 1.4475266138 -0.8766437152 0.133923\n"
        "H -0.5238136345 1.4379326443 0.9063972942 0.133923",
        "157.7118 157.70997 157.70699",
        "0. 13.21 -0.3877 0.1171 0.5048 35.3641 0.044749 -40.47893 -40.476062 -40.475117 -40.498597 6.469",
        "C",
    ),
    2: (
        "N -0.0404260543 1.0241077531 0.0625637998 -0.707143\n"
        "H 0.0172574639 0.0125452063 -2.1*^-6 0.235712\n"
        "H 0.9157893661 1.3587451948 -0.0287577581 0.235712\n"
        "H -0.5202777357 1.3435321258 -0.7755426124 0.235712",
        "293.60975 293.54111 191.39397",
        "1.6256 9.46 -0.257 0.0829 0.3399 26.1563 0.034358 -56.525887 -56.523026 -56.522082 -56.544961 6.316",
        "N",
    ),
    3: (
        "O -0.0343604951 0.9775395708 0.0076015923 -0.589706\n"
        "H 0.0647664923 0.0205721989 0.0015346341 0.294853\n"
        "H 0.8717903737 1.3007924048 0.0006931336 0.294853",
        "799.58812 437.90386 282.94545",
        "1.8511 6.31 -0.2928 0.0687 0.3615 19.0002 0.021375 "
        "-76.404702 -76.401867 -76.400922 -76.422349 6.002",
        "O",
    ),
}
TARGETS = ("mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "u0", "u298", "h298", "g298", "cv")
UNCHARACTERIZED = [2, *range(130_000, 133_053)]


def xyz(number: int) -> str:
    """Return the text of one ``dsgdb9nsd_*.xyz`` file."""
    atoms, rotation, targets, smiles = MOLECULES[number]
    rows = atoms.splitlines()
    header = "\t".join([f"gdb {number}", *rotation.split(), *targets.split()])
    tail = ["1341.307\t1341.3284", f"{smiles}\t{smiles}\t", "InChI=1S/x\tInChI=1S/x"]
    return "\n".join([str(len(rows)), header, *("\t".join(row.split()) for row in rows), *tail]) + "\n"


def write_uncharacterized(folder: Path, numbers: list[int] = UNCHARACTERIZED) -> None:
    """Write ``uncharacterized.txt``: nine lines of text, a row a molecule, a last line."""
    rows = [f"{number:>9}  C#C  C=C  0.5" for number in numbers]
    text = "\n".join([*("=" * 20 for _ in range(9)), *rows, f"{len(numbers)} compounds"])
    (folder / "uncharacterized.txt").write_text(text + "\n", encoding="utf-8")


def write_archive(path: Path, mode: str, texts: dict[str, str]) -> None:
    """Write texts as the files of a tar archive."""
    with tarfile.open(path, mode) as archive:
        for name, text in texts.items():
            info = tarfile.TarInfo(name)
            data = text.encode()
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def sdf_and_table() -> dict[str, str]:
    """Return the texts of ``gdb9.sdf`` and ``gdb9.sdf.csv``."""
    records, rows = [], ["mol_id,A,B,C," + ",".join(TARGETS) + ",u0_atom"]
    for number, (atoms, rotation, targets, _) in MOLECULES.items():
        lines = [row.replace("*^", "e").split() for row in atoms.splitlines()]
        block = [
            f"{float(x):10.4f}{float(y):10.4f}{float(z):10.4f} {symbol:<3} 0  0  0  0  0"
            for symbol, x, y, z, _ in lines
        ]
        counts = f"{len(lines):3d}  0  0  0  0  0  0  0  0  0999 V2000"
        records.append("\n".join([f"gdb_{number}", " -OEChem-", "", counts, *block, "M  END", "$$$$", ""]))
        rows.append(",".join([f"gdb_{number}", *rotation.split(), *targets.split(), "-1.0"]))
    return {"gdb9.sdf": "".join(records), "gdb9.sdf.csv": "\n".join(rows) + "\n"}
