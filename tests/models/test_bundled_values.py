"""What one bundled checkpoint of each family predicts for a fixed input, to three digits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from equizoo import from_pretrained
from equizoo.models.molecule_batch import MoleculeBatch

Z = (6, 9, 8, 7, 1, 1, 1, 1)
BONDS = ((0, 1), (0, 2), (0, 3), (0, 4), (2, 5), (3, 6), (3, 7))
POS = (
    (0.0, 0.0, 0.0), (1.36, 0.1, 0.0), (-0.5, 1.3, 0.1), (-0.5, -0.75, 1.2),
    (-0.35, -0.5, -0.95), (-1.45, 1.25, 0.2), (-0.1, -1.68, 1.2), (-0.2, -0.3, 2.05),
)  # fmt: skip


def wave(*shape: int, rate: float = 1.7) -> Tensor:
    """Numbers from -1 to 1 in that shape, without a random generator."""
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float64).mul(rate).sin().view(shape)


def molecule() -> tuple[dict[str, Tensor], Tensor | float]:
    return {"z": torch.tensor(Z), "pos": torch.tensor(POS, dtype=torch.float64)}, 0.0


def particles() -> tuple[dict[str, Tensor], Tensor | float]:
    pos, charge = 2 * wave(5, 3), torch.tensor([[1.0], [-1], [-1], [1], [1]], dtype=torch.float64)
    return {"pos": pos, "vel": wave(5, 3, rate=0.9), "charge": charge}, pos


def body() -> tuple[dict[str, Tensor], Tensor | float]:
    pos = 5 * wave(31, 3) + 15
    return {"pos": pos, "vel": 0.3 * wave(31, 3, rate=0.9)}, pos[:, None]


def cloud() -> tuple[dict[str, Tensor], Tensor | float]:
    return {"points": wave(1, 64, 3)}, 0.0


def conformer() -> tuple[dict[str, Tensor], Tensor | float]:
    graph = MoleculeBatch.single(Z, BONDS)._asdict()
    graph |= {"attributes": wave(8, 10).gt(0).double(), "centres": torch.arange(5)[None]}
    return {"pos": torch.tensor(POS, dtype=torch.float64), "t": torch.tensor([0.3]).double(), **graph}, 0.0


VALUES = {
    "schnet-qm9-ace": (
        molecule,
        [1.62386, 24.7491, -6.87031, 1.8144, 8.80481, 251.932,
         1.68133, -28.8902, -29.0711, -29.2997, -26.8079, 15.7751],
    ),
    "segnn-qm9-ace": (
        molecule,
        [1.39497, 24.3547, -7.1361, 1.65983, 8.85677, 252.748,
         1.71576, -28.8737, -29.0508, -29.2436, -26.6741, 16.1489],
    ),
    "segnn-nbody-ace": (
        particles,
        [-0.0921547, 0.764158, 1.05265, 0.493521, -0.322515, -1.03985,
         -0.721119, -0.0585879, 0.768112, 0.907326, 0.342251, -0.352154],
    ),
    "egno-mocap-run-ace": (
        body,
        [-2.38284, -5.45601, -11.1879, 1.25494, 11.0382, 0.742669,
         -4.86363, -5.29892, -3.63818, 29.6178, 6.28506, -42.565],
    ),
    "vn-dgcnn-modelnet40-ace": (
        cloud,
        [2.40116, 4.08173, 5.19967, 3.1182, -1.6811, 6.93236,
         2.96509, -1.03865, 1.68415, 3.23636, -3.41375, 0.653058],
    ),
    "conformer-qm9-ace": (
        conformer,
        [-0.00960645, -0.00571143, 0.00625849, 0.0509678, 0.0201272, 0.0313736,
         0.00352662, -0.00606167, 0.0488805, -0.00103186, -0.0225736, -0.0120588],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
@torch.no_grad()
def test_predictions_are_those_of_the_release(name: str) -> None:
    make, expected = VALUES[name]
    inputs, start = make()
    found = (from_pretrained(name, dtype="float64")(**inputs) - start).flatten()
    assert found[:: max(1, len(found) // 12)][:12].tolist() == pytest.approx(expected, rel=1e-3)
