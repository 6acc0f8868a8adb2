"""Molecules as the conformer models take them: flat tensors, every pair of atoms with its kind."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from equizoo.data.molecule_graphs import MoleculeGraph

FAR, TWO_BONDS, THREE_BONDS, CIS, TRANS = 0, 5, 6, 7, 8
"""Kinds of pairs beside 1 to 4, a single, double, triple and aromatic bond."""


class MoleculeBatch(NamedTuple):
    """Molecules side by side.

    Attributes:
        z: ``(N,)`` atomic numbers.
        attributes: ``(N, K)`` attributes of the atoms.
        batch: ``(N,)`` molecule of each atom.
        receivers, senders: ``(E,)`` all ordered pairs of different atoms of the same molecule, sorted by
            receiver, then by sender.
        kinds: ``(E,)`` kind of each pair: 0 far, 1 to 4 a single, double, triple or aromatic bond, 5 and 6
            two and three bonds apart, 7 and 8 across a double bond on the same and on opposite sides.
        centres: ``(S, 5)`` stereo centres and their neighbours in order.
    """

    z: Tensor
    attributes: Tensor
    batch: Tensor
    receivers: Tensor
    senders: Tensor
    kinds: Tensor
    centres: Tensor

    @classmethod
    def single(
        cls, z: Sequence[int], bonds: Sequence[tuple[int, int]], attributes: int = 10
    ) -> MoleculeBatch:
        """Return one molecule of single bonds, with attributes that are 0; for trying things out."""
        kinds = pair_kinds(len(z), np.asarray(bonds).reshape(-1, 2), np.ones(len(bonds), dtype=np.int64))
        molecule = Molecule(np.asarray(z), np.zeros((len(z), attributes), np.float32), kinds)
        return cls.of([molecule])

    @classmethod
    def of(cls, molecules: Iterable[Molecule]) -> MoleculeBatch:
        """Return molecules as one batch."""
        molecules = list(molecules)
        sizes = np.array([len(m.z) for m in molecules])
        starts = np.cumsum(sizes) - sizes
        receivers, senders = [], []
        for size, start in zip(sizes.tolist(), starts.tolist(), strict=True):
            i, j = _pairs(size)
            receivers.append(i + start)
            senders.append(j + start)
        numbers: list[list[np.ndarray]] = [
            [m.z for m in molecules], [np.arange(len(sizes)).repeat(sizes)], receivers, senders,
            [m.kinds for m in molecules], [m.centres + s for m, s in zip(molecules, starts, strict=True)],
        ]  # fmt: skip
        z, batch, i, j, kinds, centres = (
            torch.from_numpy(np.concatenate(x).astype(np.int64)) for x in numbers
        )
        attributes = torch.from_numpy(np.concatenate([m.attributes for m in molecules]))
        return cls(z, attributes, batch, i, j, kinds, centres)


class Molecule(NamedTuple):
    """One molecule, prepared once.

    Attributes:
        z: ``(N,)`` atomic numbers.
        attributes: ``(N, K)`` attributes of the atoms, float32.
        kinds: ``(N·(N − 1),)`` kinds of the pairs.
        centres: ``(S, 5)`` stereo centres.
    """

    z: np.ndarray
    attributes: np.ndarray
    kinds: np.ndarray
    centres: np.ndarray = np.zeros((0, 5), np.int64)

    @classmethod
    def of(cls, graph: MoleculeGraph) -> Molecule:
        """Return the graph of a molecule as conformer models take it."""
        kinds = pair_kinds(len(graph.z), graph.bonds, graph.bond_order, graph.double_bonds)
        return cls(graph.z, graph.node_attr, kinds, graph.centres)


def pair_kinds(
    atoms: int, bonds: np.ndarray, order: np.ndarray, double_bonds: np.ndarray | None = None
) -> np.ndarray:
    """Return the kind of every ordered pair of different atoms.

    Args:
        atoms: N.
        bonds: ``(B, 2)`` bonds, each once.
        order: ``(B,)`` 1 to 3, or 4 for an aromatic bond.
        double_bonds: ``(D, 5)`` atoms a, b, c, d of a–b=c–d, and 1 for cis or −1 for trans.

    Returns:
        ``(N·(N − 1),)`` uint8, see :class:`MoleculeBatch`.

    Example:
        >>> pair_kinds(3, np.array([[0, 1], [1, 2]]), np.array([1, 2])).tolist()
        [1, 5, 1, 2, 5, 2]
    """
    kinds = np.full((atoms, atoms), FAR, dtype=np.uint8)
    adjacency = np.zeros((atoms, atoms), dtype=bool)
    i, j = bonds.T.astype(np.int64)
    adjacency[i, j] = adjacency[j, i] = True
    two = adjacency @ adjacency
    three = two @ adjacency
    kinds[three] = THREE_BONDS
    kinds[two] = TWO_BONDS
    kinds[i, j] = kinds[j, i] = order
    for a, _, _, d, side in () if double_bonds is None else double_bonds.tolist():
        kinds[a, d] = kinds[d, a] = CIS if side > 0 else TRANS
    return kinds[~np.eye(atoms, dtype=bool)]


def _integers(parts: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))


@functools.lru_cache(maxsize=256)
def _pairs(size: int) -> tuple[np.ndarray, np.ndarray]:
    receivers, senders = np.nonzero(~np.eye(size, dtype=bool))
    return receivers, senders
