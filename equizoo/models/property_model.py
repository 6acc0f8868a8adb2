"""The base class of networks that take a batch of molecules and predict properties of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from equizoo.nn.checks import molecule_inputs
from equizoo.symmetry.features import Labels, Points, Scalars


class PropertyModel(nn.Module, ABC):
    """Features of the atoms, and a readout that makes properties of them.

    Subclasses set ``readout``, such as a :class:`equizoo.nn.readout.PropertyReadout`.

    Args:
        targets: Number T of properties.
    """

    readout: nn.Module

    def __init__(self, targets: int) -> None:
        super().__init__()
        self.input_types = {"z": Labels(), "pos": Points(), "batch": None}
        self.output_type = Scalars(targets, per="graph")

    @abstractmethod
    def atom_features(self, z: Tensor, pos: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        """Return the ``(N, C)`` invariant features of the atoms that the readout takes.

        Args:
            z: ``(N,)`` atomic numbers.
            pos: ``(N, 3)`` positions [Å].
            batch: ``(N,)`` molecule of each atom, ascending.
            num_graphs: Number of molecules.
        """

    def set_statistics(self, scale: Tensor, shift: Tensor, reference: Tensor) -> None:
        """Set how the readouts become target units; see :class:`equizoo.nn.readout.PropertyReadout`.

        Args:
            scale: ``(T,)`` spread of each target [its unit].
            shift: ``(T,)`` mean of the targets that are averaged over atoms [their unit].
            reference: ``(100, T)`` contribution of an atom of each element to the targets that are summed.
        """
        self.readout.set_statistics(scale, shift, reference)

    def forward(
        self, z: Any, pos: Tensor | None = None, batch: Tensor | None = None, num_graphs: int | None = None
    ) -> Tensor:
        """Predict the targets of a batch of molecules.

        Args:
            z: ``(N,)`` atomic numbers, or a PyG ``Data``/``Batch`` with ``z``, ``pos`` and ``batch``.
            pos: ``(N, 3)`` positions [Å].
            batch: ``(N,)`` molecule of each atom, ascending from 0; None for one molecule.
            num_graphs: B, if it is known; saves looking it up in ``batch``.

        Returns:
            ``(B, T)`` targets, in the units of the training set.

        Raises:
            TypeError: ``pos`` is missing.
            ValueError: No atoms, shapes that do not fit, an unsorted ``batch``, an atomic number outside 1 to
                99, positions that are not finite, or what the network cannot take: an element that it does
                not know, or two atoms in one place.
        """
        z, pos, batch, count = molecule_inputs(z, pos, batch, num_graphs)
        return self.readout(self.atom_features(z, pos, batch, count), z, pos, batch, count)
