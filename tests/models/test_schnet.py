"""SchNet against the common suite, and its own facts."""

from __future__ import annotations

import pytest
import torch

from equizoo.models.schnet import SchNet, SchNetConfig
from equizoo.relaxation import relaxations
from equizoo.relaxation.project import drop, fold
from equizoo.symmetry import SO3, layer_equivariance_errors
from tests.molecule_suite import ELEMENTS, TARGETS, MoleculeSuite
from tests.suite import SIZES, rng


class SchNetSuite(MoleculeSuite):
    branch = "features"
    aggregations: tuple[str, ...] = TARGETS

    def make_config(self, relaxed):
        return SchNetConfig(
            hidden=8,
            interactions=2,
            gaussians=6,
            cutoff=5.0,
            readout=4,
            aggregations=self.aggregations,
            relaxed=relaxed,
            branch=self.branch,
        )

    def make_model(self, relaxed, dtype=torch.float64):
        return SchNet(self.make_config(relaxed)).to(dtype)


class TestSchNet(SchNetSuite):
    """The branch on the whole input of the layer, five kinds of readout."""


class TestPublishedSchNet(SchNetSuite):
    """The published chain on positions, one target."""

    branch = "positions"
    aggregations = ("sum",)

    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    def test_every_parameter_gets_a_gradient(self, relaxed):
        """Biases before a batch normalisation get one in evaluation mode only: training takes them out."""
        model = self.build(relaxed, torch.float32)
        model(**self.make_batch(torch.float32, rng(1))).square().sum().backward()
        assert [name for name, x in model.named_parameters() if not x.grad.abs().max() > 0] == []


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def molecule(seed=0, sizes=SIZES, dtype=torch.float32):
    return TestSchNet().make_batch(dtype, rng(seed), sizes)


def test_published_parameter_counts():
    assert parameters(SchNet(SchNetConfig())) == 127_553
    relaxed = SchNet(SchNetConfig(relaxed=True, branch="positions"))
    assert parameters(relaxed) == 153_543
    assert len(relaxations(relaxed)) == 6


def test_twelve_targets():
    kinds = ("dipole", "sum", *["attention"] * 3, "extent", *["sum"] * 6)
    model = SchNet(SchNetConfig(aggregations=kinds))
    assert model(**molecule()).shape == (3, 12)
    assert model.output_type.dim == 12 and model.output_type.per == "graph"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_pyg_data_and_batches():
    from torch_geometric.data import Batch, Data

    model, inputs = SchNet(SchNetConfig(interactions=1)).eval(), molecule()
    members = [TestSchNet().member(inputs, graph) for graph in range(3)]
    graphs = [Data(z=member["z"], pos=member["pos"]) for member in members]
    with torch.no_grad():
        assert torch.equal(model(Batch.from_data_list(graphs)), model(**inputs))
        assert torch.equal(model(graphs[0]), model(members[0]["z"], members[0]["pos"]))


@torch.no_grad()
def test_the_fast_path_of_large_batches_equals_the_plain_one():
    """float32 on many pairs may go through a table of filters; float64 never does."""
    model = SchNet(SchNetConfig(hidden=16)).eval()
    inputs = molecule(4, (29,) * 30)
    fast = model(**inputs)
    exact = model.double()(inputs["z"], inputs["pos"].double(), inputs["batch"])
    assert float((fast - exact).abs().max() / exact.abs().max()) < 1e-5


def test_each_relaxed_layer_reports_its_error():
    model = TestSchNet().build(relaxed=True)
    errors = layer_equivariance_errors(model, molecule(dtype=torch.float64), SO3(), 2, generator=rng())
    assert list(errors) == ["interactions.0", "interactions.1"]
    assert all(error.rel_mean > 1e-3 for error in errors.values())


def test_the_relaxed_model_still_ignores_translations():
    """Branches see positions relative to the centre of their molecule."""
    from equizoo.symmetry import Translations

    model = TestSchNet().build(relaxed=True)
    assert TestSchNet().error(model, Translations(10.0), torch.float64) < 1e-9


def test_published_branches_are_lost_together():
    model, inputs = TestPublishedSchNet().build(relaxed=True), molecule(dtype=torch.float64)
    terms = relaxations(model)
    terms["interactions.0"].gamma.data.zero_()
    assert torch.equal(fold(model)(**inputs), model(**inputs))
    assert drop(model, terms)(**inputs).isfinite().all()


def test_atoms_beyond_the_cutoff_do_not_interact():
    model = TestSchNet().build()
    z = torch.tensor([6, 8])
    far = model(z, torch.tensor([[0.0, 0, 0], [5.01, 0, 0]], dtype=torch.float64))[0, 0]
    near = model(z, torch.tensor([[0.0, 0, 0], [4.0, 0, 0]], dtype=torch.float64))[0, 0]
    alone = sum(model(z[k : k + 1], torch.zeros(1, 3, dtype=torch.float64))[0, 0] for k in (0, 1))
    torch.testing.assert_close(far, alone)
    assert (near - alone).abs() > 1e-8


@torch.no_grad()
def test_messages_fade_out_at_the_cutoff():
    model, z = TestSchNet().build(), torch.tensor([6, 8])

    def energy(x):
        return model(z, torch.tensor([[0.0, 0, 0], [x, 0, 0]], dtype=torch.float64))[0, 0].item()

    apart = energy(5.001)
    assert energy(4.9999) == pytest.approx(apart, rel=1e-6)
    assert abs(energy(4.0) - apart) > 1e-5 * abs(apart)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos": torch.full((14, 3), float("nan"))}, "finite"),
        ({"pos": torch.zeros(13, 3)}, "shapes"),
        ({"z": torch.zeros(14, dtype=torch.long)}, "atomic numbers"),
        ({"z": torch.ones(14)}, "integers"),
        ({"batch": torch.arange(14).flip(0)}, "sorted"),
        ({"z": ELEMENTS[:0], "pos": torch.zeros(0, 3), "batch": ELEMENTS[:0]}, "no atoms"),
    ],
)
def test_bad_molecules(change, message):
    with pytest.raises(ValueError, match=message):
        SchNet(SchNetConfig(interactions=1))(**{**molecule(), **change})


def test_bad_configurations():
    with pytest.raises(ValueError, match="aggregations"):
        SchNetConfig(aggregations=("median",))
    with pytest.raises(ValueError, match="branch"):
        SchNetConfig(branch="both")
    with pytest.raises(ValueError, match="hidden must be positive"):
        SchNetConfig(hidden=0)
    with pytest.raises(TypeError, match="z, pos and batch"):
        SchNet(SchNetConfig(interactions=1))(torch.tensor([1]))
