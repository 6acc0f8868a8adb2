"""Conformers: how many, of which isomer, in which order, and that a seed holds."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.Chem.rdMolTransforms import GetDihedralDeg

from equizoo.data.embeddings import with_positions
from equizoo.data.molecule_graphs import molecule_graph, stereo_kept
from equizoo.data.tight_binding import tight_binding_energies
from equizoo.pipelines import conformers, pipeline
from equizoo.pipelines.conformer_embedding import embedding
from equizoo.pipelines.conformer_selection import compared_atoms, distinct, sound
from equizoo.pipelines.conformer_stereo import labelled
from equizoo.pipelines.conformers import ConformerPipeline
from equizoo.pipelines.geometry import Refused, embed
from tests.pipelines.conformer_samples import DOMAIN, Guide, build, isomer, small_flow


@pytest.fixture(scope="module")
def make() -> ConformerPipeline:
    return build()


def by_sample(answer) -> dict[int, np.ndarray]:
    return dict(zip(answer.samples.tolist(), answer.positions, strict=True))


def test_one_molecule_gives_ranked_conformers(make: ConformerPipeline) -> None:
    answer = make("OCCCF", n=6, steps=3)
    assert answer.ok and answer.error is None and answer.in_domain
    assert 1 < len(answer) <= 6
    assert answer.mol.GetNumConformers() == len(answer) == answer.tally.made
    assert answer.positions.shape == (len(answer), 12, 3)
    assert answer.z.tolist() == [8, 6, 6, 6, 9] + [1] * 7
    assert (np.diff(answer.energies) >= 0).all()
    assert answer.relative_energies[0] == 0
    energies = [conformer.GetDoubleProp("energy") for conformer in answer.mol.GetConformers()]
    assert energies == answer.energies.tolist()
    samples = [conformer.GetIntProp("sample") for conformer in answer.mol.GetConformers()]
    assert samples == answer.samples.tolist()
    tally = answer.tally
    assert tally.asked == 6 and tally.seconds > 0
    assert tally.sampled == tally.made + tally.duplicates + tally.rejected
    assert answer.smiles == "OCCCF" and answer.chosen == 0


STEREO = {
    "C[C@H](O)CC": 0,
    "C[C@@H](O)CC": 0,
    "F/C=C/C": 0,
    "F/C=C\\C": 0,
    "C[C@H]1CC[C@@H](C)CC1": 0,
    "C[C@H]1CC[C@H](C)CC1": 0,
    "O[C@H]1[C@@H]2CC[C@H]1C2": 0,
    "C/C=C/[C@H](F)N": 0,
    "C[C@H](F)C=CF": 1,
    "CC(O)F": 1,
    "C1CC2CCC1C2": 2,
    "C[N@@+]1(CO)C[C@@H]1C": 0,
}


@pytest.mark.parametrize("smiles", STEREO)
def test_every_conformer_has_the_stereochemistry_asked_for(smiles: str, make: ConformerPipeline) -> None:
    answer = make(smiles, n=4, steps=2)
    assert answer.chosen == STEREO[smiles]
    assert {isomer(answer.mol, k) for k in range(len(answer))} == {answer.smiles}
    if not answer.chosen:
        assert answer.smiles == Chem.CanonSmiles(smiles)
    assert Chem.MolFromSmiles(answer.smiles).HasSubstructMatch(Chem.MolFromSmiles(smiles), useChirality=True)


VOLUMES = {  # where RDKit reads no label from positions, or one that depends on the order of the bonds
    "COc1ccc2nccc([C@@H](O)[C@H]3C[C@@H]4CC[N@@]3C[C@@H]4C=C)c2c1": 0,
    "C[N@]1C[C@@H]1C": 0,
    "C[N@@]1C[C@@H]1C": 0,
    "O=C1C[C@@]23C[C@@]12N=CO3": 0,
    "O=C1CC23CC12N=CO3": 2,
    "C1C[N@]2C[C@H](F)[C@H]1CC2": 0,
}


@pytest.mark.parametrize("smiles", VOLUMES)
def test_labels_that_rdkit_does_not_read_are_kept_by_volume(smiles: str, make: ConformerPipeline) -> None:
    answer = make(smiles, n=2, steps=1)
    assert answer.chosen == VOLUMES[smiles]
    if not answer.chosen:
        assert answer.smiles == Chem.CanonSmiles(smiles)
    graph = molecule_graph(answer.mol)
    assert len(graph.centres) == answer.smiles.replace("@@", "@").count("@")
    assert stereo_kept(graph, answer.positions).all() and not stereo_kept(graph, -answer.positions).any()


def test_an_impossible_bridgehead_is_refused(make: ConformerPipeline) -> None:
    with pytest.raises(Refused, match="may be impossible"):
        make("C1C[N@]2C[C@H](F)[C@@H]1CC2")


def test_a_flat_centre_has_no_label() -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles("C[N@]1C[C@H]1C"))
    positions = embedding(mol, 0)
    assert labelled(mol, positions).GetAtomWithIdx(1).GetChiralTag() == mol.GetAtomWithIdx(1).GetChiralTag()
    first, second, third = positions[[0, 2, 3]]
    positions[1] = 0.3 * first + 0.35 * (second + third)
    assert labelled(mol, positions).GetAtomWithIdx(1).GetChiralTag() == Chem.ChiralType.CHI_UNSPECIFIED


@pytest.mark.parametrize("smiles", ["C[C@H](O)CC", "C[C@@H](O)CC"])
def test_mirror_images_are_rejected_counted_and_replaced(smiles: str) -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    right = [embedding(mol, 0, k) for k in range(3)]
    answer = build(Guide([right[0], -right[1], right[2]]))(smiles, n=3, rmsd=0)
    assert {isomer(answer.mol, k) for k in range(3)} == {Chem.CanonSmiles(smiles)}
    assert (answer.tally.sampled, answer.tally.wrong_stereo, answer.tally.made) == (4, 1, 3)
    assert sorted(answer.samples) == [0, 2, 3]
    with pytest.raises(Refused, match=r"none of 9 samples .* 9 of other stereochemistry, 0 with clashes"):
        build(Guide([-one for one in right]))(smiles, n=3)


def test_the_wrong_side_of_a_double_bond_is_rejected() -> None:
    cis, trans = (Chem.AddHs(Chem.MolFromSmiles(text)) for text in ("C/C=C\\F", "C/C=C/F"))
    answer = build(Guide([embedding(cis, 0), embedding(trans, 0)]))("C/C=C/F", n=2, rmsd=0)
    assert answer.tally.wrong_stereo >= 1
    assert {isomer(answer.mol, k) for k in range(len(answer))} == {"C/C=C/F"}


def test_clashes_are_rejected() -> None:
    good = embedding(Chem.AddHs(Chem.MolFromSmiles("CCO")), 0)
    folded = good.copy()
    folded[8] = folded[3] + 0.2
    nowhere = np.full_like(good, np.nan)
    answer = build(Guide([good, folded, 0.7 * good, nowhere]))("CCO", n=4, rmsd=0)
    assert answer.tally.clashes == 6
    assert sorted(answer.samples) == [0, 4, 7, 9]  # the first of each batch, of 4, 3, 2 and 1
    assert np.allclose(answer.positions, good - good.mean(0), atol=1e-4)


def test_copies_are_left_out_by_symmetry() -> None:
    one = embedding(Chem.AddHs(Chem.MolFromSmiles("CC(C)(C)F")), 0)
    swapped = one[[2, 1, 3, 0, 4, *range(8, 14), *range(5, 8)]] @ np.diag([-1, -1, 1]) + 3
    pipe = build(Guide([one, swapped, one + 0.001]))
    assert len(pipe("CC(C)(C)F", n=3, rmsd=0)) == 3
    answer = pipe("CC(C)(C)F", n=3)
    assert (len(answer), answer.tally.duplicates, answer.tally.sampled) == (1, 8, 9)


def test_copies_are_drawn_again_while_others_turn_up() -> None:
    pipe = build(small_flow("mmff", size=0.0))
    for n in (5, 10):
        answer = pipe("C[C@H](O)[C@@H](O)C", n=n)
        tally = answer.tally
        assert len(answer) == tally.made == n < tally.sampled <= 3 * n
        assert tally.duplicates == tally.sampled - n and not tally.rejected
        assert len(set(answer.samples)) == n and max(answer.samples) >= n
        again = pipe("C[C@H](O)[C@@H](O)C", n=n)
        assert np.array_equal(again.positions, answer.positions)
        atoms, symmetries = compared_atoms(answer.mol)
        assert distinct(answer.positions[:, atoms], symmetries, 0.1) == list(range(n))
    for n, sampled in ((2, 6), (10, 19), (50, 50)):
        tally = pipe("c1ccccc1", n=n).tally
        assert (tally.made, tally.duplicates, tally.sampled) == (1, sampled - 1, sampled)


def test_the_rotamers_of_an_alcohol_are_conformers() -> None:
    answer = build()("CCO", n=12, steps=1)
    assert len(answer) >= 3


def test_a_sample_depends_on_the_seed_and_its_number_only(make: ConformerPipeline) -> None:
    options = {"steps": 2, "rmsd": 0}
    few = by_sample(make("OCC=CF", n=3, seed=5, **options))
    again, many = make(["CCN", "OCC=CF", "OCC=CF"], n=7, seed=5, **options)[1:]
    other = make("OCC=CF", n=7, seed=6, **options)
    assert np.array_equal(again.positions, many.positions)
    assert np.array_equal(by_sample(make("OCC=CF", n=3, seed=5, **options))[0], few[0])
    for sample, positions in by_sample(build(batch_size=1)("OCC=CF", n=7, seed=5, **options)).items():
        assert np.allclose(by_sample(many)[sample], positions, atol=1e-4)
    for sample, positions in few.items():
        assert np.allclose(by_sample(many)[sample], positions, atol=1e-4)
    assert not np.allclose(by_sample(other)[0], few[0], atol=1e-2)


def test_the_seed_of_torch_and_numpy_is_left_alone(make: ConformerPipeline) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    first = make("CCCO", n=2).positions
    assert torch.initial_seed() == 3
    torch.manual_seed(4)
    np.random.seed(4)
    assert np.array_equal(make("CCCO", n=2).positions, first)


def test_the_harmonic_prior_is_a_start_too() -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles("CC(=O)N"))
    pipe = build(Guide([embedding(mol, 0)]))
    first, second = pipe("CC(=O)N", n=2, rmsd=0), pipe("CC(=O)N", n=2, rmsd=0)
    assert np.array_equal(first.positions, second.positions)
    with pytest.raises(Refused, match=r"none of 6 samples is a conformer of it: 0 not embedded"):
        build(small_flow("harmonic"))("CC(=O)N", n=2)


def test_a_flow_from_relaxed_geometries_starts_at_low_energies() -> None:
    plain, relaxed = (build(small_flow(prior, size=0.0))("OCCF", n=4, rmsd=0) for prior in ("etkdg", "mmff"))
    assert relaxed.energies.mean() < plain.energies.mean()
    again = build(small_flow("mmff", size=0.0), batch_size=1)("OCCF", n=2, rmsd=0)
    assert np.allclose(by_sample(again)[0], by_sample(relaxed)[0], atol=1e-4)
    elements = SimpleNamespace(task="conformers", domain=DOMAIN | {"elements": ("H", "C", "Si", "Se")})
    model = small_flow("mmff")
    model.card = elements
    for polish in (None, "mmff"):
        with pytest.raises(Refused, match=r"for C.*, and this model starts from .* it has relaxed$"):
            ConformerPipeline(model)("[SiH3][Se]C", polish=polish)


def test_polishing_with_mmff_lowers_the_energy(make: ConformerPipeline) -> None:
    raw, polished = (make("OCCF", n=4, steps=2, polish=polish) for polish in (None, "mmff"))
    assert (raw.method, polished.method) == ("MMFF94, briefly relaxed", "MMFF94")
    assert polished.energies[0] <= raw.energies[0] + 1e-6
    assert not np.allclose(polished.positions[0], raw.positions[0], atol=1e-3)
    assert {isomer(polished.mol, k) for k in range(len(polished))} == {"OCCF"}


def test_polishing_with_xtb(make: ConformerPipeline) -> None:
    pytest.importorskip("tblite")
    answer = make("CO", n=1, steps=1, polish="xtb")
    assert answer.method == "GFN2-xTB" and answer.energies[0] < -5000


@pytest.mark.parametrize("smiles", ["C[NH3+]", "CC(=O)[O-]", "[NH4+]", "C[N+](=O)[O-]"])
def test_ions_are_polished_with_their_charge(smiles: str, make: ConformerPipeline) -> None:
    pytest.importorskip("tblite")
    answer = make(smiles, n=1, steps=1, polish="xtb")
    charge = Chem.GetFormalCharge(answer.mol)
    expected = tight_binding_energies(answer.z, answer.positions, charge)
    assert answer.energies == pytest.approx(expected, abs=1e-3)


def test_without_mmff_parameters_there_is_no_rank(make: ConformerPipeline) -> None:
    answer = make("[C-]#[O+]", n=2, rmsd=0)
    assert answer.method is None and np.isnan(answer.energies).all()
    assert answer.samples.tolist() == [0, 1]
    assert not answer.mol.GetConformer(0).HasProp("energy")
    with pytest.raises(Refused, match=r"MMFF94 has no parameters for .*; use polish=None"):
        make("[C-]#[O+]", polish="mmff")


def test_a_mol_keeps_its_order_and_gives_its_stereochemistry(make: ConformerPipeline) -> None:
    mol = Chem.RenumberAtoms(Chem.MolFromSmiles("C[C@H](O)CF"), [4, 2, 0, 1, 3])
    answer = make(mol, n=2)
    assert answer.z[:5].tolist() == [9, 8, 6, 6, 6]
    assert answer.smiles == Chem.CanonSmiles("C[C@H](O)CF") and answer.chosen == 0
    space = Chem.AddHs(Chem.MolFromSmiles("CC(O)CF"))
    space.AddConformer(Chem.Conformer(make("C[C@@H](O)CF", n=1).mol.GetConformer()))
    assert make(space, n=2).smiles == Chem.CanonSmiles("C[C@@H](O)CF")
    cis = Chem.MolFromSmiles("CC=CF")
    cis.GetBondWithIdx(1).SetStereoAtoms(0, 3)
    cis.GetBondWithIdx(1).SetStereo(Chem.BondStereo.STEREOCIS)
    assert make(cis, n=1).smiles == Chem.CanonSmiles("C/C=C\\F")


@pytest.mark.parametrize(("groups", "chosen"), [("a:1,2", 0), ("&1:1,2", 1), ("o1:1,&2:2", 2)])
def test_centres_that_are_given_relative_to_others_are_chosen(
    groups: str, chosen: int, make: ConformerPipeline
) -> None:
    answer = make(Chem.MolFromSmiles(f"C[C@H]([C@@H](F)N)O |{groups}|"), n=1, steps=1)
    assert (answer.smiles, answer.chosen) == (Chem.CanonSmiles("C[C@H]([C@@H](F)N)O"), chosen)


def test_large_molecules_and_charges_are_flagged(make: ConformerPipeline) -> None:
    large, ion, usual = make(["CCCCCCCCCC", "CC[NH3+]", "CCC"], n=1, steps=1)
    for answer in make(["[O-]C(=O)CC[NH3+]", "C[N+](=O)[O-]", "C[N+]#[C-]"], n=1, steps=1):
        assert answer.ok and not answer.in_domain
        assert answer.domain_reason == (
            "atoms of it have formal charges, and no molecule that the model was trained on has any"
        )
    assert large.domain_reason == "10 heavy atoms, and the model was trained on at most 9"
    assert ion.domain_reason == "its charge is +1, and the model was trained on neutral molecules"
    assert usual.in_domain and not large.in_domain


def test_a_partial_variant_is_answered_with_a_caution() -> None:
    pipe = build(small_flow(relaxed=True))
    assert "not exactly equivariant" in pipe.caution
    assert pipe("CCO", n=1).ok
    assert build().caution is None


def test_bad_options_and_models(make: ConformerPipeline) -> None:
    for option, message in (
        ({"n": 0}, "n must be a whole number from 1 to 1000, got 0"),
        ({"n": 2.5}, "n must be a whole number from 1 to 1000, got 2.5"),
        ({"n": "3"}, "n must be a whole number from 1 to 1000, got '3'"),
        ({"n": True}, "n must be a whole number from 1 to 1000, got True"),
        ({"n": None}, "n must be a whole number from 1 to 1000, got None"),
        ({"steps": 2.5}, "steps must be a whole number of at least 1, got 2.5"),
        ({"steps": True}, "steps must be a whole number of at least 1, got True"),
        ({"rmsd": "0.1"}, "rmsd must be a number of 0 or more, in Å, got '0.1'"),
        ({"rmsd": True}, "rmsd must be a number of 0 or more"),
        ({"seed": -1}, "seed must be a whole number from 0 to 2147483647, got -1"),
        ({"n": conformers.MOST_CONFORMERS + 1}, "n must be a whole number from 1 to 1000, got 1001"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"rmsd": -1}, "rmsd must be a number of 0 or more"),
        ({"rmsd": float("nan")}, "rmsd must be a number of 0 or more"),
        ({"polish": "uff"}, r"polish must be None or one of \('mmff', 'xtb'\), got 'uff'"),
    ):
        with pytest.raises(ValueError, match=message):
            make("CCO", **option)
    with pytest.raises(TypeError, match="did you mean 'batch_size'"):
        build(batchsize=3)
    for size in (0, 2.5, "3"):
        with pytest.raises(ValueError, match="batch_size must be a positive whole number"):
            build(batch_size=size)
    assert json.dumps(make("C", n=np.int64(1), steps=np.int64(1)).record())
    with pytest.raises(ValueError, match="no card"):
        pipeline("conformers", small_flow())
    model = small_flow()
    model.card = type("Card", (), {"task": "molecule-properties"})()
    with pytest.raises(ValueError, match="is one for molecule-properties"):
        pipeline("conformers", model)


def flat_difluoroallene() -> tuple[Any, np.ndarray]:
    """Return 1,3-difluoroallene and its planar positions, where MMFF94 alone leads."""
    mol = Chem.AddHs(Chem.MolFromSmiles("FC=C=CF"))
    copy = with_positions(mol, embedding(mol, 0)[None])
    rdForceFieldHelpers.MMFFOptimizeMolecule(copy, maxIters=2000)
    return mol, copy.GetConformer().GetPositions()


@pytest.mark.parametrize("polish", [None, "mmff"])
@pytest.mark.parametrize("prior", ["etkdg", "mmff"])
def test_allenes_are_not_flattened(prior: str, polish: str | None) -> None:
    answer = build(small_flow(prior))("FC=C=CF", n=4, polish=polish)
    torsions = [GetDihedralDeg(conformer, 0, 1, 3, 4) for conformer in answer.mol.GetConformers()]
    assert np.abs(torsions) == pytest.approx(90, abs=20)


def test_a_flat_allene_is_no_conformer() -> None:
    mol, flat = flat_difluoroallene()
    assert sound(mol, np.stack([flat, embedding(mol, 0)])).tolist() == [False, True]


def test_the_geometry_of_an_allene_is_perpendicular() -> None:
    mol, _ = flat_difluoroallene()
    conformer = with_positions(mol, embed(mol, 0)[None]).GetConformer()
    assert abs(GetDihedralDeg(conformer, 0, 1, 3, 4)) == pytest.approx(90, abs=3)
