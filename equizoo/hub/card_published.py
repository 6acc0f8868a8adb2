"""Published figures: ``model_cards/published.json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from equizoo.hub.errors import ConfigError
from equizoo.hub.strict import parse, read_json


@dataclass(frozen=True)
class Column:
    """One published column.

    Attributes:
        label: What the paper calls the model.
        method: Method of :data:`equizoo.relaxation.method.METHODS` that it is the figure of, or ``augment``.
        errors: Mean and deviation over the seeds, by target [unit of the target's error].
        variant: ``"equivariant"`` (γ = 0) or ``"partial"`` (branch on).
        parameters: Number of its parameters.
        epochs: Length of its training if it is not that of the table; 0: it is not known.
    """

    label: str
    method: str
    errors: dict[str, tuple[float, ...]]
    variant: str = "equivariant"
    parameters: int | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class Published:
    """A published table and how its figures were made.

    Attributes:
        paper: Title of the paper.
        authors: Its authors.
        url: Where it is.
        table: Which table.
        metric: ``"MAE"``, ``"MSE"`` or ``"error rate"``.
        seeds: Number of seeds that mean and deviation are over.
        epochs: Length of the training.
        train_samples: Size of the training set.
        split: The split.
        models: How the models were trained.
        rows: What is known about which row is which.
        cite: Key of :data:`equizoo.hub.card_bibtex.BIBTEX`.
        units: Unit of the error, by target.
        columns: The columns; a checkpoint is compared with that of its method, or else with the last.
        decimals: Decimals that the paper prints, in the unit that cards show.
        energies: QM9 only: ``"total"`` where the models learned total energies.
    """

    paper: str
    authors: str
    url: str
    table: str
    metric: str
    seeds: int
    epochs: int
    train_samples: int
    split: str
    models: str
    rows: str
    cite: str
    units: dict[str, str]
    columns: tuple[Column, ...]
    decimals: int = 4
    energies: str = ""

    def length(self, column: Column) -> int | None:
        """Return the number of epochs of a column, or None if it is not known."""
        return self.epochs if column.epochs is None else column.epochs or None

    def lengths(self) -> str:
        """Return the number of epochs in words, with the columns that differ."""
        others = [
            f"{c.label}: {f'{c.epochs:,}' if c.epochs else 'not known'}"
            for c in self.columns
            if c.epochs is not None
        ]
        return f"{self.epochs:,} epochs" + (f" ({', '.join(others)})" if others else "")

    def column(self, method: str, variant: str) -> Column | None:
        """Return the figures of a method and variant, or None where none were published."""
        matching = [c for c in self.columns if (c.method, c.variant) == (method, variant)]
        return matching[0] if matching else None


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
            if not table.columns:
                raise ConfigError(f"{path.name}: {dataset}.{family} has no columns")
            for column in table.columns:
                pairs = all(len(figure) == 2 for figure in column.errors.values())
                if column.errors.keys() != table.units.keys() or not pairs:
                    raise ConfigError(
                        f"{path.name}: {dataset}.{family}, {column.label!r} needs a mean and a deviation "
                        f"for each of {', '.join(table.units)}"
                    )
    return tables
