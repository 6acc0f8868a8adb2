import json
import math
from types import SimpleNamespace

import pytest
import torch
from ase import Atoms
from rdkit import Chem
from torch import nn

from equizoo.data.qm9 import ATOM_REFERENCES, TARGETS, load_qm9
from equizoo.pipelines import MissingExtra, UnknownTask, pipeline, require
from equizoo.pipelines.geometry import check_geometry, embed
from equizoo.pipelines.properties import MoleculePropertyPipeline
from tests.data.test_qm9 import data_folder
from tests.pipelines.conftest import NAMES, PairModel, values

ETHANOL, BENZENE, URACIL, ASPIRIN = "CCO", "c1ccccc1", "O=C1C=CNC(=O)N1", "CC(=O)Oc1ccccc1C(=O)O"


def ethanol() -> Chem.Mol:
    """Ethanol with a geometry of its own."""
    mol = Chem.AddHs(Chem.MolFromSmiles(ETHANOL))
    positions = embed(mol, seed=5)
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.SetPositions(positions)
    conformer.Set3D(True)
    mol.AddConformer(conformer)
    return mol


def test_one_answer_has_all_twelve_with_units_errors_and_intervals(predict: MoleculePropertyPipeline) -> None:
    result = predict(ETHANOL)
    assert list(result["properties"]) == NAMES
    for k, (target, quantity) in enumerate(zip(TARGETS, result["properties"].values(), strict=True)):
        low, high = quantity["interval"]
        assert quantity["unit"] == target.unit
        assert quantity["test_mae"] == pytest.approx(0.005 * (k + 1))
        assert high - quantity["value"] == pytest.approx(0.02 * (k + 1), abs=1e-9)
        assert quantity["value"] - low == pytest.approx(0.02 * (k + 1), abs=1e-9)
    assert result["ok"] and result["in_domain"]
    assert (result["error"], result["domain_reason"]) == (None, None)
    assert (result["smiles"], result["formula"], result["geometry"]) == ("CCO", "C2H6O", "mmff")
    assert result["coverage"] == 0.9
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_columns_arrays_sets_and_iterators_are_several_molecules(predict: MoleculePropertyPipeline) -> None:
    import numpy as np

    smiles = [ETHANOL, BENZENE]
    expected = [result["properties"] for result in predict(smiles)]
    for several in (np.array(smiles), np.array(smiles, object), iter(smiles), dict.fromkeys(smiles).keys()):
        assert [result["properties"] for result in predict(several)] == expected


def test_total_energies_are_the_relative_ones_and_the_atoms_in_float64(
    predict: MoleculePropertyPipeline,
) -> None:
    result = predict(ETHANOL)
    hydrogen, carbon, _, oxygen, _ = ATOM_REFERENCES.tolist()
    for k, name in enumerate(("U0", "U", "H", "G")):
        atoms = math.fsum([2 * carbon[k], 6 * hydrogen[k], oxygen[k]])
        total, relative = result["properties"][name]["value"], result["atomization"][name]["value"]
        assert total == pytest.approx(atoms + relative, abs=1e-11)  # float32 is off by 2e-4 here
    assert list(result["atomization"]) == ["U0", "U", "H", "G"]


def test_more_heavy_atoms_than_trained_on_are_answered_and_flagged(predict: MoleculePropertyPipeline) -> None:
    result = predict(ASPIRIN)
    assert result["ok"] is True
    assert result["in_domain"] is False
    assert result["domain_reason"] == "13 heavy atoms, and the model was trained on at most 9"
    assert result["coverage"] is None
    for quantity in (*result["properties"].values(), *result["atomization"].values()):
        assert quantity["interval"] is None
        assert quantity["test_mae"] is not None


def test_an_unusual_geometry_is_answered_and_flagged(predict: MoleculePropertyPipeline) -> None:
    water = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    assert predict(water)["in_domain"] is True
    for factor in (0.7, 1.25):
        squeezed = Atoms("OHH", water.positions * factor)
        result = predict(squeezed)
        assert result["in_domain"] is False
        assert "bond lengths unlike any in the training set" in result["domain_reason"]
        assert result["properties"]["gap"]["interval"] is None
    hydrogen = predict(Atoms("HH", [[0, 0, 0], [0.7, 0, 0]]))
    assert "no heavy atom" in hydrogen["domain_reason"]


def test_every_kind_of_input_gives_the_same_answer(predict: MoleculePropertyPipeline) -> None:
    from torch_geometric.data import Batch, Data

    mol = ethanol()
    positions = mol.GetConformer().GetPositions()
    z = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    data = Data(z=torch.tensor(z), pos=torch.tensor(positions, dtype=torch.float32))
    results = [
        predict(mol),
        predict(Atoms(z, positions)),
        predict(data),
        *predict(Batch.from_data_list([data, data])),
    ]
    assert {result["geometry"] for result in results} == {"given"}
    assert results[0]["smiles"] == "CCO"
    assert results[0]["properties"]["mu"]["test_mae"] == pytest.approx(0.0025)  # given, not mmff
    for result in results[1:]:
        torch.testing.assert_close(values(result), values(results[0]), atol=1e-4, rtol=0)


def test_a_graph_without_coordinates_is_the_same_as_its_smiles(predict: MoleculePropertyPipeline) -> None:
    from_smiles = predict(URACIL)
    flat = Chem.MolFromMolBlock(Chem.MolToMolBlock(Chem.MolFromSmiles(URACIL)))
    for other in (Chem.MolFromSmiles(URACIL), flat, "O=c1cc[nH]c(=O)[nH]1", "N1C(=O)NC=CC1=O"):
        assert torch.equal(values(predict(other)), values(from_smiles))


def test_the_seed_decides_the_answer(model: PairModel) -> None:
    flexible = "OCCC(N)CO"
    first, again, other = (
        values(pipeline("molecule-properties", model, seed=seed)(flexible)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, rtol=1e-6)


def test_an_answer_does_not_depend_on_its_batch(model: PairModel) -> None:
    inputs = [ETHANOL, ASPIRIN, "C1CC", BENZENE, URACIL, "O"]
    together = pipeline("molecule-properties", model, batch_size=64)(inputs)
    reverse = pipeline("molecule-properties", model, batch_size=2)(inputs[::-1])[::-1]
    assert model.sizes == [5, 2, 2, 1]
    for text, a, b in zip(inputs, together, reverse, strict=True):
        assert a["input"] == b["input"] == text
        if a["ok"]:
            torch.testing.assert_close(values(a), values(b), rtol=1e-7, atol=1e-5)
            torch.testing.assert_close(values(a), values(predict_alone(model, text)), rtol=1e-7, atol=1e-5)


def predict_alone(model: PairModel, text: str) -> dict:
    return pipeline("molecule-properties", model)(text)


def test_lists_give_lists_and_one_gives_one(predict: MoleculePropertyPipeline) -> None:
    assert isinstance(predict(ETHANOL), dict)
    assert [result["input"] for result in predict((ETHANOL,))] == [ETHANOL]
    assert predict([]) == []


def test_stereochemistry_is_kept(predict: MoleculePropertyPipeline) -> None:
    cis, trans = predict(["F/C=C\\F", "F/C=C/F"])
    assert (cis["smiles"], trans["smiles"]) == ("F/C=C\\F", "F/C=C/F")
    assert not torch.allclose(values(cis), values(trans), rtol=1e-6)


def test_an_interval_does_not_reach_below_zero_where_nothing_is(model: PairModel) -> None:
    wide = SimpleNamespace(coverage=0.9, half_width=dict.fromkeys(NAMES, 1e6), mae={})
    model.card.calibration["mmff"] = wide
    properties = pipeline("molecule-properties", model)(ETHANOL)["properties"]
    floors = {name for name, quantity in properties.items() if quantity["interval"][0] == 0}
    assert floors == {"mu", "alpha", "r2", "zpve", "Cv"}


def test_a_geometry_without_calibration_has_no_interval(predict: MoleculePropertyPipeline) -> None:
    del predict.card.calibration["mmff"]
    quantity = predict(ETHANOL)["properties"]["gap"]
    assert quantity["interval"] is None
    assert quantity["test_mae"] is None


def test_a_model_of_some_targets_answers_those(model: PairModel) -> None:
    class Two(nn.Module):
        card = SimpleNamespace(**(vars(model.card) | {"targets": (TARGETS[7], TARGETS[4])}))

        def __init__(self) -> None:
            super().__init__()
            self.whole = model

        def forward(self, z: torch.Tensor, pos: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
            return self.whole(z, pos, batch)[:, [7, 4]]

    both = predict_alone(Two(), ETHANOL)["properties"]
    whole = predict_alone(model, ETHANOL)["properties"]
    assert both == {name: whole[name] for name in ("U0", "gap")}


def test_xtb_relaxes_what_has_no_coordinates(model: PairModel) -> None:
    pytest.importorskip("tblite")
    predict = pipeline("molecule-properties", model, geometry="xtb")
    relaxed, zwitterion, given = predict([ETHANOL, "[NH3+]CC([O-])=O", ethanol()])
    assert relaxed["geometry"] == "xtb"
    assert relaxed["properties"]["gap"]["interval"] is None  # the card has no calibration for it
    assert "formed or broke a bond" in zwitterion["error"]
    assert given["geometry"] == "given"
    distance = (values(relaxed) - values(predict_alone(model, ETHANOL))).abs().max()
    assert 1e-3 < distance < 1


def test_what_the_factory_is_given_is_checked(model: PairModel) -> None:
    with pytest.raises(UnknownTask, match="did you mean 'molecule-properties'"):
        pipeline("molecule-property", model)
    with pytest.raises(TypeError, match="did you mean 'geometry'"):
        pipeline("molecule-properties", model, geometri="xtb")
    with pytest.raises(ValueError, match="geometry must be one of"):
        pipeline("molecule-properties", model, geometry="dft")
    with pytest.raises(ValueError, match="must be positive"):
        pipeline("molecule-properties", model, batch_size=0)
    for seed in (-1, 2**31, 1.5):
        with pytest.raises(
            ValueError, match=rf"seed must be a whole number from 0 to 2147483647, got {seed}"
        ):
            pipeline("molecule-properties", model, seed=seed)
    assert pipeline("molecule-properties", model, seed=2**31 - 1)("O")["ok"]
    with pytest.raises(ValueError, match="has no card"):
        pipeline("molecule-properties", nn.Linear(1, 1))
    model.card.targets = (*TARGETS, SimpleNamespace(name="colour", unit=""))
    with pytest.raises(ValueError, match="colour"):
        pipeline("molecule-properties", model)


def test_a_missing_extra_says_how_to_install_it() -> None:
    with pytest.raises(MissingExtra, match=r"needs no_such_module: pip install 'equizoo\[xtb\]'"):
        require("no_such_module", "xtb", "geometry='xtb'")


def test_schnet_answers(model: PairModel) -> None:
    from equizoo.models.schnet import SchNet, SchNetConfig

    network = SchNet(SchNetConfig(hidden=8, interactions=1, readout=4, aggregations=("sum",) * 12))
    network.card = model.card
    result = predict_alone(network, URACIL)
    assert values(result).isfinite().all()


@pytest.mark.skipif(data_folder() is None, reason="QM9 itself is not on this machine")
def test_molecules_of_qm9_are_inside_the_domain(predict: MoleculePropertyPipeline) -> None:
    test = load_qm9(data_folder()).split("test")
    results = predict([test[i] for i in range(0, len(test), 60)])
    assert [result["error"] or result["domain_reason"] for result in results] == [None] * len(results)
    for i in range(0, len(test), 7):
        atoms = slice(int(test.ptr[i]), int(test.ptr[i + 1]))
        assert check_geometry(test.z[atoms].numpy(), test.pos[atoms].double().numpy()) is None
