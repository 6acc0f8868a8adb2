"""Coefficients of attributes against e3nn's Clebsch-Gordan symbols."""

from __future__ import annotations

import pytest
import torch
from e3nn import o3

from equizoo.nn.coupling import CouplingTable

ATTRIBUTES = "2x0e+1o+2e"


def test_coefficients_are_the_contraction_with_the_symbols():
    table = CouplingTable(ATTRIBUTES, 2).double()
    irreps = o3.Irreps(ATTRIBUTES)
    a = torch.randn(5, irreps.dim, dtype=torch.float64)
    coefficients = torch.nn.functional.pad(table(a), (0, 1))
    kinds = o3.Irreps("0e+1o+2e+1e")
    for path in table.paths(kinds, kinds):
        (l1, _), (l3, _) = kinds[path.source].ir, kinds[path.target].ir
        copies, (l2, _) = irreps[path.attribute]
        part = a[:, irreps.slices()[path.attribute]].reshape(5, copies, -1)[:, path.copy]
        symbol = (2 * l3 + 1) ** 0.5 * o3.wigner_3j(l1, l2, l3, dtype=torch.float64)
        expected = torch.einsum("ijk,ej->eik", symbol, part)
        torch.testing.assert_close(coefficients[:, torch.tensor(path.columns)], expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_paths_follow_the_instructions_of_e3nn():
    table = CouplingTable(ATTRIBUTES, 2)
    kinds_in, kinds_out = "3x0e+1o+2x2e", "1o+2x0e+1e"
    reference = o3.FullyConnectedTensorProduct(kinds_in, ATTRIBUTES, kinds_out)
    paths = [(p.source, p.attribute, p.target) for p in table.paths(kinds_in, kinds_out) if p.copy == 0]
    assert paths == [(i.i_in1, i.i_in2, i.i_out) for i in reference.instructions]


def test_a_table_that_was_float32_is_exact_again_in_float64():
    table = CouplingTable("0e+1o+2e", 2)
    assert torch.equal(table.float().double().matrix, CouplingTable("0e+1o+2e", 2).double().matrix)
    assert table.matrix.dtype == torch.float64 and not list(table.state_dict())


def test_errors():
    with pytest.raises(ValueError, match="couples degrees up to 1"):
        CouplingTable("0e+1o", 1).paths("0e+2e", "0e")
    with pytest.raises(ValueError, match=r"shape \(E, 4\), got \(3, 5\)"):
        CouplingTable("0e+1o", 1)(torch.zeros(3, 5))
