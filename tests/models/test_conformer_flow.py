"""The vector field of conformers: what it commutes with, what it sees, and the published counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equizoo.models.conformer_flow import ConformerFlow, ConformerFlowConfig
from equizoo.models.molecule_batch import Molecule, MoleculeBatch, pair_kinds
from equizoo.relaxation.layer import projected, relaxations
from equizoo.relaxation.project import fold, project_state
from equizoo.symmetry import SO3, equivariance_error
from equizoo.symmetry.groups import Translations

SMALL = {"hidden": 16, "layers": 2, "heads": 4, "basis": 8, "cutoff": 6.0}


def chain(atoms: int, centres: list[list[int]] | None = None) -> Molecule:
    bonds = np.array([(i, i + 1) for i in range(atoms - 1)])
    rng = np.random.default_rng(atoms)
    return Molecule(
        rng.integers(1, 10, atoms),
        rng.normal(size=(atoms, 10)).astype(np.float32),
        pair_kinds(atoms, bonds, rng.integers(1, 5, atoms - 1)),
        np.array(centres or np.zeros((0, 5)), dtype=np.int64),
    )


def inputs(*molecules: Molecule, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    batch = MoleculeBatch.of(molecules)
    generator = torch.Generator().manual_seed(0)
    pos = 1.5 * torch.randn(len(batch.z), 3, generator=generator, dtype=dtype)
    t = torch.rand(len(molecules), generator=generator, dtype=dtype)
    fields = batch._asdict() | {"attributes": batch.attributes.to(dtype)}
    return {"pos": pos, "t": t, **fields}


def model(**options) -> ConformerFlow:
    torch.manual_seed(0)
    return ConformerFlow(ConformerFlowConfig(**{**SMALL, **options})).double().eval()


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 8_337_329), ({"cross": True}, 9_063_729), ({"output_norm": True}, 8_337_809)],
)
def test_published_parameter_counts(options: dict, count: int) -> None:
    assert sum(p.numel() for p in ConformerFlow(ConformerFlowConfig(**options)).parameters()) == count


@pytest.mark.parametrize("options", [{}, {"cross": True}, {"pairs": "kinds", "chirality": True}])
def test_the_field_turns_with_the_molecule_and_ignores_shifts(options: dict) -> None:
    field, x = model(**options), inputs(chain(7, [[2, 1, 3, 4, 5]]), chain(5))
    for group in (SO3(), Translations(10.0)):
        assert equivariance_error(field, x, group, generator=torch.Generator().manual_seed(1)).rel_max < 1e-9


def reflected(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return x | {"pos": x["pos"] * torch.tensor([-1.0, 1.0, 1.0], dtype=x["pos"].dtype)}


def test_only_vector_products_and_stereo_centres_tell_left_from_right() -> None:
    x, mirror = inputs(chain(7, [[2, 1, 3, 4, 5]])), torch.tensor([-1.0, 1.0, 1.0]).double()
    for options, kept in (({}, True), ({"cross": True}, False), ({"chirality": True}, False)):
        field = model(**options)
        with torch.no_grad():
            difference = field(**reflected(x)) - field(**x) * mirror
        assert (float(difference.abs().max()) < 1e-9) == kept


def test_the_mirror_image_of_a_molecule_moves_like_its_reflection() -> None:
    field, mirror = model(chirality=True), torch.tensor([-1.0, 1.0, 1.0]).double()
    x = inputs(chain(7, [[2, 1, 3, 4, 5]]))
    other = reflected(x) | {"centres": x["centres"][:, [0, 2, 1, 3, 4]]}
    with torch.no_grad():
        torch.testing.assert_close(field(**other), field(**x) * mirror, rtol=0, atol=1e-9)


def test_molecules_of_a_batch_do_not_see_each_other() -> None:
    field, one = model(chirality=True), chain(6, [[2, 1, 3, 4, 5]])
    both = inputs(one, chain(5))
    alone = inputs(one) | {"pos": both["pos"][:6], "t": both["t"][:1]}
    with torch.no_grad():
        torch.testing.assert_close(field(**both)[:6], field(**alone), rtol=0, atol=1e-10)


def test_a_molecule_as_a_whole_stays_where_it_is() -> None:
    with torch.no_grad():
        velocity = model(relaxed=True)(**inputs(chain(6)))
    assert float(velocity.mean(0).abs().max()) < 1e-12


def test_the_field_is_smooth_at_the_cutoff() -> None:
    field, x = model(cutoff=3.0), inputs(chain(2))
    velocities = []
    for distance in (3 - 1e-5, 3 + 1e-5):
        x["pos"] = torch.tensor([[0.0, 0, 0], [distance, 0, 0]], dtype=torch.float64)
        with torch.no_grad():
            velocities.append(field(**x))
    torch.testing.assert_close(*velocities, rtol=0, atol=1e-8)


def test_projection_leaves_the_plain_field() -> None:
    relaxed, x = model(relaxed=True, rank=8), inputs(chain(6), chain(4))
    plain = model()
    plain.load_state_dict(project_state(relaxed.state_dict()))
    assert len(relaxations(relaxed)) == 2 * SMALL["layers"]
    with torch.no_grad(), projected(relaxed):
        torch.testing.assert_close(relaxed(**x), plain(**x))
    assert equivariance_error(relaxed, x, SO3()).rel_mean > 1e-4


def test_each_term_of_a_layer_works_alone() -> None:
    relaxed, x = model(relaxed=True, rank=8), inputs(chain(6), chain(4))
    for name, term in relaxations(relaxed).items():
        term.gamma.data.fill_(0.0 if "scalar" in name else 1.0)
    with torch.no_grad():
        partial = fold(relaxed)
        assert len(relaxations(partial)) == SMALL["layers"]
        torch.testing.assert_close(partial(**x), relaxed(**x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "change", [{"hidden": 15}, {"heads": 3}, {"basis": 1}, {"prior": "noise"}, {"pairs": ""}]
)
def test_bad_shapes_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        ConformerFlowConfig(**{**SMALL, **change})
