"""Every error of the input check."""

from __future__ import annotations

import pytest
import torch

from equizoo.nn.checks import check_molecules


def inputs(**changes):
    return {
        "z": torch.tensor([6, 1, 1]),
        "pos": torch.zeros(3, 3),
        "batch": torch.tensor([0, 0, 1]),
    } | changes


def test_molecules_pass():
    check_molecules(**inputs())
    check_molecules(**inputs(z=torch.tensor([1, 99, 50], dtype=torch.uint8)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pos": torch.zeros(3)}, r"got \(3,\), \(3,\), \(3,\)"),
        ({"pos": torch.zeros(3, 2)}, "shapes"),
        ({"z": torch.ones(2, dtype=torch.long)}, "shapes"),
        ({"batch": torch.zeros(3, 1, dtype=torch.long)}, "shapes"),
        ({key: value[:0] for key, value in inputs().items()}, "no atoms"),
        ({"z": torch.ones(3)}, "integers, got torch.float32 and torch.int64"),
        ({"batch": torch.zeros(3)}, "integers, got torch.int64 and torch.float32"),
        ({"batch": torch.tensor([0, 1, 0])}, "sorted"),
        ({"batch": torch.tensor([-1, 0, 0])}, "start at 0"),
        ({"z": torch.tensor([6, 0, 1])}, "1 to 99, got 0 to 6"),
        ({"z": torch.tensor([6, 100, 1])}, "1 to 99, got 1 to 100"),
        ({"pos": torch.tensor([[0.0, 0, 0], [0, float("nan"), 0], [0, 0, 0]])}, "finite"),
        ({"pos": torch.tensor([[0.0, 0, 0], [0, 0, float("inf")], [0, 0, 0]])}, "finite"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        check_molecules(**inputs(**changes))
