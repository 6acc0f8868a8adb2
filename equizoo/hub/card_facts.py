"""What a model card says that was not measured: data sets, architectures, methods, published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from equizoo._nearest import did_you_mean
from equizoo.hub.errors import ConfigError
from equizoo.hub.strict import parse, read_json

F = TypeVar("F")


@dataclass(frozen=True)
class Facts:
    """What is said about a data set, an architecture or a method.

    Attributes:
        text: One or two sentences.
        papers: Keys of :data:`BIBTEX`.
        limits: What it implies for the limitations of a model.
    """

    text: str
    papers: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset(Facts):
    """What is said about a data set.

    Attributes:
        sources: Module whose ``SOURCES`` name its files, where they are published and their licence.
        standard_split: Who else uses the split that is meant by ``split_seed: null``.
        energies: Targets that models may learn relative to free atoms.
    """

    sources: str = ""
    standard_split: str = ""
    energies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """How a task is used: what for, what not for, one input of the pipeline, arguments of the model."""

    purpose: str
    not_for: str
    example: str
    arguments: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """One published column: its label, and mean and deviation over the seeds, by target."""

    label: str
    mae: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Published:
    """A published table and how its figures were made; see ``model_cards/published.json``."""

    paper: str
    authors: str
    url: str
    table: str
    metric: str
    seeds: int
    epochs: int
    train_molecules: int
    split: str
    models: str
    energies: str
    rows: str
    cite: str
    units: dict[str, str]
    columns: tuple[Column, ...] = field(default=())


TASKS = {
    "molecule-properties": Task(
        purpose="Fast estimates of quantum-chemical properties of small organic molecules: screening, "
        "ranking, teaching, and as a starting point for networks that are relaxed in the same way.",
        not_for="Forces, reaction paths, ions, radicals, crystals, solvents, or any decision on the safety "
        "of a substance. The numbers are estimates of a density functional's answer, not of an experiment.",
        example='"CCO"',
        arguments="torch.tensor([8, 1, 1]), torch.tensor([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, "
        "0.0]])",
        inputs=(
            "`z`: `(N,)` int64, atomic numbers of all atoms of B molecules",
            "`pos`: `(N, 3)` floating point, positions [Å]",
            "`batch`: `(N,)` int64, sorted, the molecule of each atom; may be left out for one molecule",
        ),
    )
}

DATASETS = {
    "qm9": Dataset(
        "QM9: small neutral closed-shell organic molecules with their B3LYP/6-31G(2df,p) equilibrium "
        "geometries in vacuum and properties at the same level. Molecules that failed the consistency check "
        "of its authors are left out.",
        ("qm9",),
        (
            "The reference is B3LYP/6-31G(2df,p) in vacuum at its own minimum; other conformers, strained "
            "geometries and other levels of theory were never seen.",
        ),
        sources="equizoo.data.qm9_files",
        standard_split="the standard split of Cormorant, EGNN and SEGNN",
        energies=("U0", "U", "H", "G"),
    )
}

FAMILIES = {
    "schnet": Facts(
        "SchNet, message passing with filters that are continuous functions of the distances between atoms",
        ("schnet",),
        (
            "Only distances enter, so mirror images get the same answer, and atoms beyond the cutoff of "
            "one another interact through others only.",
        ),
    )
}

METHODS = {
    "none": Facts("trained strictly equivariant, without relaxed layers"),
    "ace-equality": Facts(
        "trained with relaxed layers, f_eq(x) + γ·f_neq(x), whose γ dual ascent drives to 0 (ACE, Algorithm "
        "1)",
        ("ace",),
    ),
    "ace-resilient": Facts(
        "trained with relaxed layers, f_eq(x) + γ·f_neq(x), whose |γ| dual ascent bounds by a slack that has "
        "a price (ACE, Algorithm 2)",
        ("ace",),
    ),
    "cr": Facts(
        "trained with relaxed layers, f_eq(x) + γ·f_neq(x), with γ on a schedule and the Lie derivative "
        "of the branch as penalty (constraint relaxation)",
        ("cr",),
    ),
    "recm": Facts(
        "trained with relaxed layers, f_eq(x) + γ·f_neq(x), whose γ a recurrent state drives; a "
        "reconstruction from the abstract of arXiv 2602.02853",
    ),
}

BIBTEX = {
    "ace": """@article{manolache2025ace,
  title   = {Learning (Approximately) Equivariant Networks via Constrained Optimization},
  author  = {Manolache, Andrei and Chamon, Luiz F. O. and Niepert, Mathias},
  journal = {arXiv preprint arXiv:2505.13631},
  year    = {2025}
}""",
    "cr": """@inproceedings{pertigkiozoglou2024cr,
  title     = {Improving Equivariant Model Training via Constraint Relaxation},
  author    = {Pertigkiozoglou, Stefanos and Chatzipantazis, Evangelos and Trivedi, Shubhendu and
               Daniilidis, Kostas},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2024}
}""",
    "schnet": """@inproceedings{schutt2017schnet,
  title     = {{SchNet}: A continuous-filter convolutional neural network for modeling quantum interactions},
  author    = {Sch{\\"u}tt, Kristof T. and Kindermans, Pieter-Jan and Sauceda, Huziel E. and
               Chmiela, Stefan and Tkatchenko, Alexandre and M{\\"u}ller, Klaus-Robert},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017}
}""",
    "qm9": """@article{ramakrishnan2014qm9,
  title   = {Quantum chemistry structures and properties of 134 kilo molecules},
  author  = {Ramakrishnan, Raghunathan and Dral, Pavlo O. and Rupp, Matthias and von Lilienfeld, O. Anatole},
  journal = {Scientific Data},
  volume  = {1},
  pages   = {140022},
  year    = {2014},
  doi     = {10.1038/sdata.2014.22}
}""",
}


def read_published(path: str | Path) -> dict[str, dict[str, Published]]:
    """Read ``model_cards/published.json``.

    Args:
        path: The file.

    Returns:
        The published table of each family on each data set: ``{dataset: {family: Published}}``.

    Raises:
        ConfigError: It is not in order, or a figure is not a pair of mean and deviation.
    """
    path = Path(path)
    tables = {
        dataset: {
            name: parse(Published, data, f"{path.name}: {dataset}.{name}") for name, data in families.items()
        }
        for dataset, families in read_json(path).items()
    }
    for dataset, families in tables.items():
        for family, table in families.items():
            for column in table.columns:
                if column.mae.keys() != table.units.keys() or any(len(v) != 2 for v in column.mae.values()):
                    raise ConfigError(
                        f"{path.name}: {dataset}.{family}, {column.label!r} needs a mean and a deviation "
                        f"for each of {', '.join(table.units)}"
                    )
    return tables


def find(facts: Mapping[str, F], key: str, kind: str) -> F:
    """Return what is said about ``key``.

    Raises:
        ConfigError: Nothing is; the message says where to write it.
    """
    if key not in facts:
        hint = did_you_mean(key, facts) or ";"
        raise ConfigError(f"no card text for the {kind} {key!r}{hint} add it to equizoo/hub/card_facts.py")
    return facts[key]
