"""From node features to molecular properties: one small readout a target, aggregated as physics suggests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equizoo.nn.radial import shifted_softplus

DEBYE_PER_E_ANGSTROM = 4.803204712570263
BOHR = 0.529177210903  # [Å]

AGGREGATIONS = {
    "sum": "Σ_i y_i, for extensive properties",
    "mean": "the mean of y_i, for intensive properties",
    "attention": "Σ_i softmax(a)_i y_i, for properties of a part of the molecule, such as orbital energies",
    "dipole": "|Σ_i q_i r_i| [D] with atomic charges q_i = y_i - mean(y) [e]",
    "extent": "Σ_i (Z_i + y_i) |r_i - c|² [a0²], c the centre of nuclear charge",
}


def sum_nodes(x: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    """Sum ``(N, C)`` node values within each graph; ``(B, C)``."""
    return torch.zeros(num_graphs, x.shape[1], dtype=x.dtype, device=x.device).index_add(0, batch, x)


def centre(pos: Tensor, weight: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    """Return ``(N, 3)`` positions relative to the centre of their graph, with weights ``(N, 1)``."""
    total = sum_nodes(torch.cat([weight * pos, weight], dim=1), batch, num_graphs)
    return pos - (total[:, :3] / total[:, 3:])[batch]


class PropertyReadout(nn.Module):
    """A two-layer readout a target, aggregated over the atoms of each molecule.

    With readouts ``y_i`` of atom i, the training statistics ``scale``, ``shift`` and ``reference``, and an
    aggregation of :data:`AGGREGATIONS`, a target is ``scale·aggregate(y) + shift + Σ_i reference[z_i]``. The
    aggregations ``dipole`` and ``extent`` are physical already: they take neither scale nor shift.

    Args:
        width: Width C of the node features.
        hidden: Width of each readout.
        aggregations: One entry a target.

    References:
        Schütt et al., "SchNet" (2017), Section 4.1 (sum and mean).
        Schütt et al., "SchNetPack" (2019), Section 2.3 (dipole moment and electronic spatial extent).
    """

    def __init__(self, width: int, hidden: int, aggregations: tuple[str, ...]) -> None:
        super().__init__()
        targets = len(aggregations)
        self.aggregations = aggregations
        self.columns = {
            kind: [t for t, k in enumerate(aggregations) if k == kind] for kind in dict.fromkeys(aggregations)
        }
        outputs = targets + len(self.columns.get("attention", []))
        self.hidden = nn.Linear(width, outputs * hidden)
        self.weight = nn.Parameter(torch.empty(outputs, hidden))
        self.bias = nn.Parameter(torch.zeros(outputs))
        bound = hidden**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.hidden.bias)
        nn.init.uniform_(self.hidden.weight, -((6 / (width + hidden)) ** 0.5), (6 / (width + hidden)) ** 0.5)
        self.register_buffer("scale", torch.ones(targets))
        self.register_buffer("shift", torch.zeros(targets))
        self.register_buffer("reference", torch.zeros(100, targets))

    def set_statistics(self, scale: Tensor, shift: Tensor, reference: Tensor) -> None:
        """Copy the statistics of the training set into the buffers.

        Args:
            scale: ``(T,)`` factor of each target.
            shift: ``(T,)`` constant of each target.
            reference: ``(100, T)`` contribution of an atom of each element.

        Raises:
            ValueError: A shape does not fit.
        """
        for name, value in (("scale", scale), ("shift", shift), ("reference", reference)):
            buffer = getattr(self, name)
            if value.shape != buffer.shape:
                raise ValueError(f"{name} must have shape {tuple(buffer.shape)}, got {tuple(value.shape)}")
            buffer.copy_(value)

    def baseline(self, z: Tensor, pos: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        """Return the ``(B, T)`` part that is known beforehand: point nuclei for ``extent``, else 0."""
        out = torch.zeros(num_graphs, len(self.aggregations), dtype=pos.dtype, device=pos.device)
        if "extent" in self.columns:
            nuclei = z.unsqueeze(-1).to(pos.dtype)
            out[:, self.columns["extent"]] = sum_nodes(
                nuclei * _squares(nuclei, pos, batch, num_graphs), batch, num_graphs
            )
        return out

    def forward(self, h: Tensor, z: Tensor, pos: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        """Predict the targets of every molecule.

        Args:
            h: ``(N, C)`` node features.
            z: ``(N,)`` atomic numbers.
            pos: ``(N, 3)`` positions [Å].
            batch: ``(N,)`` molecule of each atom, ascending.
            num_graphs: B.

        Returns:
            ``(B, T)`` predictions.
        """
        x = shifted_softplus(self.hidden(h)).unflatten(-1, self.weight.shape)
        y = (x * self.weight).sum(-1) + self.bias
        size = sum_nodes(torch.ones_like(pos[:, :1]), batch, num_graphs)
        parts, order = [], []
        for kind, columns in self.columns.items():
            value = y[:, columns]
            if kind == "dipole":
                charges = value - (sum_nodes(value, batch, num_graphs) / size)[batch]
                moments = charges.unsqueeze(-1) * pos.unsqueeze(1)
                moments = sum_nodes(moments.flatten(1), batch, num_graphs).unflatten(1, (-1, 3))
                value = DEBYE_PER_E_ANGSTROM * torch.linalg.vector_norm(moments, dim=-1)
            elif kind == "extent":
                value = sum_nodes(
                    value * _squares(z.unsqueeze(-1).to(pos.dtype), pos, batch, num_graphs), batch, num_graphs
                )
            else:
                if kind == "mean":
                    value = value / size[batch]
                elif kind == "attention":
                    value = value * _softmax(y[:, len(self.aggregations) :], batch, num_graphs)
                value = sum_nodes(value, batch, num_graphs) * self.scale[columns] + self.shift[columns]
            parts.append(value)
            order += columns
        out = torch.cat(parts, dim=1)[:, sorted(range(len(order)), key=order.__getitem__)]
        return (
            out + sum_nodes(self.reference[z], batch, num_graphs) + self.baseline(z, pos, batch, num_graphs)
        )


def _squares(nuclei: Tensor, pos: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    return (centre(pos, nuclei, batch, num_graphs) / BOHR).square().sum(-1, keepdim=True)


def _softmax(score: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    index = batch.unsqueeze(-1).expand_as(score)
    top = torch.full((num_graphs, score.shape[1]), -torch.inf, dtype=score.dtype, device=score.device)
    weight = torch.exp(score - top.scatter_reduce(0, index, score.detach(), "amax")[batch])
    return weight / sum_nodes(weight, batch, num_graphs)[batch]
