"""What the suites of the networks on molecules share: the batch, and the exported program."""

from __future__ import annotations

import torch

from equizoo.hub.export import MoleculeProgram
from tests.suite import SIZES, EquivariantModelSuite

TARGETS = ("sum", "mean", "attention", "dipole", "extent")
ELEMENTS = torch.tensor([1, 6, 7, 8, 9])


class MoleculeSuite(EquivariantModelSuite):
    def make_batch(self, dtype, generator, sizes=SIZES):
        n = sum(sizes)
        return {
            "z": ELEMENTS[torch.randint(0, 5, (n,), generator=generator)],
            "pos": (2 * torch.randn(n, 3, generator=generator, dtype=torch.float64)).to(dtype),
            "batch": torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)),
        }

    def make_program(self, model):
        return MoleculeProgram(model)

    def program_inputs(self, inputs):
        return {"z": inputs["z"], "pos": inputs["pos"], "counts": inputs["batch"].bincount()}
