"""Relabellings of the heavy atoms found from the arrays of a graph, without RDKit.

References:
    B. D. McKay, A. Piperno, J. Symbolic Computation 60, 94 (2014): colour refinement and search.
"""

from __future__ import annotations

import numpy as np

from equizoo.data.molecule_graphs import NODE_ATTRIBUTES, MoleculeGraph
from equizoo.data.molecule_symmetry import LIMIT

_CHARGE = NODE_ATTRIBUTES.index("formal charge")
_CONJUGATED = 5  # order of the bonds to the ends of a conjugated group


def graph_symmetries(graph: MoleculeGraph, limit: int = LIMIT) -> np.ndarray:
    """List the relabellings that a symmetry-aware deviation goes through, those of RDKit's ``GetBestRMS``.

    Hydrogens do not count, and the ends of a conjugated group, such as the two oxygens of an acid or of a
    nitro group, are the same.

    Args:
        graph: The molecule.
        limit: Largest number of relabellings.

    Returns:
        (S, H) int64, the identity first; row ``s`` puts heavy atom ``s[i]`` in the place of heavy atom ``i``,
        both counted among the H heavy atoms.

    Raises:
        ValueError: The molecule has no heavy atom.

    Example:
        >>> acid = MoleculeGraph([6, 8, 8, 1, 1], np.zeros((5, 10)), [[0, 1], [0, 2], [0, 3], [2, 4]],
        ...                      [2, 1, 1, 1], np.zeros((0, 5)), np.zeros((0, 5)))
        >>> graph_symmetries(acid).tolist()
        [[0, 1, 2], [0, 2, 1]]
    """
    if not len(graph.heavy):
        raise ValueError("the molecule has no heavy atom")
    around, colours = _skeleton(graph)
    colours = _refined(around, colours)
    found = _search(around, colours, limit)
    identity = tuple(range(len(around)))
    return np.array([identity, *sorted(row for row in found if row != identity)][:limit], dtype=np.int64)


def _skeleton(graph: MoleculeGraph) -> tuple[list[dict[int, int]], list[int]]:
    """Return the neighbours of each heavy atom with the orders of their bonds, and a colour of each."""
    place = {int(atom): k for k, atom in enumerate(graph.heavy)}
    around: list[dict[int, int]] = [{} for _ in place]
    for (i, j), order in zip(graph.bonds.tolist(), graph.bond_order.tolist(), strict=True):
        if i in place and j in place:
            around[place[i]][place[j]] = around[place[j]][place[i]] = order
    z = graph.z[graph.heavy].tolist()
    charge = np.rint(graph.node_attr[graph.heavy, _CHARGE]).astype(int).tolist()
    for atom, bonds in enumerate(around):
        for element in (7, 8):
            ends = [k for k, order in bonds.items() if order in (1, 2) and len(around[k]) == 1]
            ends = [k for k in ends if z[k] == element]
            if len({bonds[k] for k in ends}) == 2:
                for k in ends:
                    around[atom][k] = around[k][atom] = _CONJUGATED
                    charge[k] = 0
    return around, _ranks(list(zip(z, charge, strict=True)))


def _ranks(keys: list) -> list[int]:
    rank = {key: k for k, key in enumerate(sorted(set(keys)))}
    return [rank[key] for key in keys]


def _refined(around: list[dict[int, int]], colours: list[int]) -> list[int]:
    """Split colours until atoms of one colour have neighbours of the same colours."""
    while True:
        finer = _ranks(
            [
                (colours[atom], tuple(sorted((order, colours[k]) for k, order in bonds.items())))
                for atom, bonds in enumerate(around)
            ]
        )
        if max(finer) == max(colours):
            return colours
        colours = finer


def _search(around: list[dict[int, int]], colours: list[int], limit: int) -> list[tuple[int, ...]]:
    """Map atoms one after another, each beside an atom that is mapped already."""
    order: list[int] = []
    for root in range(len(around)):
        queue = [root] if root not in order else []
        while queue:
            atom = queue.pop(0)
            if atom not in order:
                order.append(atom)
                queue += [k for k in around[atom] if k not in order]
    mapped: dict[int, int] = {}
    found: list[tuple[int, ...]] = []

    def extend(depth: int) -> None:
        if depth == len(order):
            found.append(tuple(mapped[atom] for atom in range(len(order))))
            return
        atom = order[depth]
        known = {k: bond for k, bond in around[atom].items() if k in mapped}
        choices = around[mapped[next(iter(known))]] if known else range(len(order))
        used = set(mapped.values())
        for choice in sorted(choices):
            fits = colours[choice] == colours[atom] and choice not in used
            if fits and all(around[choice].get(mapped[k]) == bond for k, bond in known.items()):
                mapped[atom] = choice
                extend(depth + 1)
                del mapped[atom]
                if len(found) >= limit:
                    return

    extend(0)
    return found
