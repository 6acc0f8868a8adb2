"""A set of molecules as flat tensors: what every molecular dataset returns, and what a batch is cut from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class MoleculeSet:
    """M molecules with N atoms in all, stored one after another.

    Attributes:
        z: (N,) atomic numbers, any integer type.
        pos: (N, 3) float32 positions [Å].
        ptr: (M + 1,) int64; molecule ``i`` owns the atoms ``ptr[i]:ptr[i + 1]``.
        y: (M, T) float64 targets.
        index: (M,) int64 numbers of the molecules in the dataset they come from.

    Raises:
        ValueError: The shapes do not fit together.

    Example:
        >>> water = MoleculeSet(torch.tensor([8, 1, 1]), torch.zeros(3, 3), torch.tensor([0, 3]),
        ...                     torch.zeros(1, 12, dtype=torch.float64), torch.tensor([3]))
        >>> len(water), water.batch(torch.tensor([0, 0]))["batch"].tolist()
        (1, [0, 0, 0, 1, 1, 1])
    """

    z: Tensor
    pos: Tensor
    ptr: Tensor
    y: Tensor
    index: Tensor

    def __post_init__(self) -> None:
        atoms, molecules = self.z.shape[0], self.index.shape[0]
        if self.pos.shape != (atoms, 3):
            raise ValueError(f"pos has shape {tuple(self.pos.shape)}, but z has {atoms} atoms")
        if self.ptr.shape != (molecules + 1,) or self.y.shape[0] != molecules:
            raise ValueError(
                f"{molecules} molecules need ptr of shape ({molecules + 1},) and {molecules} rows of y, "
                f"got {tuple(self.ptr.shape)} and {self.y.shape[0]}"
            )
        if int(self.ptr[0]) != 0 or int(self.ptr[-1]) != atoms or bool((self.ptr.diff() < 1).any()):
            raise ValueError(f"ptr must rise from 0 to the {atoms} atoms, at least one atom a molecule")

    def __len__(self) -> int:
        return self.index.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Any:
        """Return molecule ``i`` as a PyG ``Data`` with ``z``, ``pos``, ``y`` (1, T) and ``idx``."""
        from torch_geometric.data import Data

        if not -len(self) <= i < len(self):
            raise IndexError(f"molecule {i} of a set of {len(self)}")
        i %= len(self)
        atoms, row = slice(int(self.ptr[i]), int(self.ptr[i + 1])), slice(i, i + 1)
        return Data(z=self.z[atoms].long(), pos=self.pos[atoms], y=self.y[row], idx=self.index[row])

    @property
    def n_atoms(self) -> Tensor:
        """(M,) int64 numbers of atoms."""
        return self.ptr.diff()

    def _atoms(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the rows of the atoms of ``indices``, the molecule of each, and the new ``ptr``."""
        counts = self.n_atoms[indices]
        ptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        batch = torch.arange(counts.shape[0]).repeat_interleave(counts)
        rows = torch.arange(batch.shape[0]) + (self.ptr[indices] - ptr[:-1])[batch]
        return rows, batch, ptr

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Join molecules into one batch.

        Args:
            indices: (B,) int64 positions in this set, in any order.

        Returns:
            ``z`` (n,) int64, ``pos`` (n, 3) float32 [Å], ``batch`` (n,) int64 sorted, ``y`` (B, T) float64.
        """
        rows, batch, _ = self._atoms(indices)
        return {"z": self.z[rows].long(), "pos": self.pos[rows], "batch": batch, "y": self.y[indices]}

    def subset(self, indices: Tensor) -> MoleculeSet:
        """Return the molecules at ``indices`` (B,) int64, in that order, as a set of their own."""
        rows, _, ptr = self._atoms(indices)
        return MoleculeSet(self.z[rows], self.pos[rows], ptr, self.y[indices], self.index[indices])

    def composition(self, size: int | None = None) -> Tensor:
        """Count the atoms of each element.

        Args:
            size: Number of columns; the largest atomic number of the set plus one unless given.

        Returns:
            (M, size) int64; column ``k`` counts the atoms with atomic number ``k``.

        Raises:
            ValueError: An atomic number does not fit into ``size`` columns.
        """
        z = self.z.long()
        largest = int(z.max()) if z.shape[0] else 0
        size = largest + 1 if size is None else size
        if largest >= size:
            raise ValueError(f"atomic number {largest} needs at least {largest + 1} columns, got size={size}")
        molecule = torch.arange(len(self)).repeat_interleave(self.n_atoms)
        return torch.bincount(molecule * size + z, minlength=len(self) * size).view(len(self), size)
