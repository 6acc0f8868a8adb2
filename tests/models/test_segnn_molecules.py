"""SEGNN on molecules against the common suite, and its own facts."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from equizoo.models import build_model
from equizoo.models.segnn_molecules import MoleculeSEGNN, MoleculeSEGNNConfig
from equizoo.relaxation import relaxations
from equizoo.symmetry import SO3, layer_equivariance_errors
from tests.molecule_suite import ELEMENTS, TARGETS, MoleculeSuite
from tests.suite import SIZES, rng

SMALL = {"hidden": 6, "layers": 1, "lmax_hidden": 1, "lmax_attributes": 1, "radius": 4.0}
OURS = {"gaussians": 5, "norm": False, "readout": "properties", "readout_width": 4}


class MoleculeSEGNNSuite(MoleculeSuite):
    shape: ClassVar[dict] = {}

    def make_config(self, relaxed):
        return MoleculeSEGNNConfig(**self.shape, relaxed=relaxed)

    def make_model(self, relaxed, dtype=torch.float64):
        return MoleculeSEGNN(self.make_config(relaxed)).to(dtype)


class TestPropertySEGNN(MoleculeSEGNNSuite):
    """Messages that fade at the radius, bounded branches, five kinds of readout."""

    shape: ClassVar[dict] = {**SMALL, **OURS, "layers": 2, "branch": "bounded", "aggregations": TARGETS}


class TestPublishedSEGNN(MoleculeSEGNNSuite):
    """The published degrees, instance norm and readout."""

    shape: ClassVar[dict] = {**SMALL, "hidden": 8, "lmax_hidden": 2, "lmax_attributes": 3}


def molecule(seed=0, sizes=SIZES, dtype=torch.float32):
    return TestPropertySEGNN().make_batch(dtype, rng(seed), sizes)


def small(**changes):
    torch.manual_seed(0)
    return MoleculeSEGNN(MoleculeSEGNNConfig(**{**SMALL, **changes}))


def test_published_parameter_counts():
    model = MoleculeSEGNN(MoleculeSEGNNConfig(relaxed=True))
    counts = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert model.irreps == "36x0e+36x1o+36x2e"
    assert sum(counts.values()) == 9_869_667
    assert sum(count for name, count in counts.items() if ".relaxation." not in name) == 1_033_525
    assert len(relaxations(model)) == 14


def test_the_family_is_built_by_name():
    model = build_model("segnn-molecules", {**SMALL, **OURS, "aggregations": ["sum"] * 12}, relaxed=False)
    assert model(**molecule()).shape == (3, 12)
    assert model.output_type.dim == 12 and model.output_type.per == "graph"


def test_statistics_turn_outputs_into_units():
    inputs = molecule()
    for model in (small(), small(**OURS)):
        raw = model(**inputs)
        model.set_statistics(torch.tensor([2.0]), torch.tensor([3.0]), torch.zeros(100, 1))
        torch.testing.assert_close(model(**inputs), 2 * raw + 3)
        assert not model.readout.baseline(**inputs, num_graphs=3).any()
        with pytest.raises(ValueError, match="scale must have shape"):
            model.set_statistics(torch.ones(2), torch.zeros(1), torch.zeros(100, 1))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@torch.no_grad()
def test_pyg_data_and_batches():
    from torch_geometric.data import Batch, Data

    model, inputs = small().eval(), molecule()
    members = [TestPropertySEGNN().member(inputs, graph) for graph in range(3)]
    graphs = [Data(z=member["z"], pos=member["pos"]) for member in members]
    assert torch.equal(model(Batch.from_data_list(graphs)), model(**inputs))
    assert torch.equal(model(graphs[0]), model(members[0]["z"], members[0]["pos"]))


@torch.no_grad()
def test_messages_fade_out_at_the_radius():
    model, z = small(**OURS, aggregations=["sum"]).double(), torch.tensor([6, 8, 1])

    def energy(x):
        return model(z, torch.tensor([[0.0, 0, 0], [x, 0, 0], [0, 1, 0]], dtype=torch.float64)).item()

    apart = model(z[[0, 2]], torch.tensor([[0.0, 0, 0], [0, 1, 0]], dtype=torch.float64)).item()
    apart += model(z[[1]], torch.zeros(1, 3, dtype=torch.float64)).item()
    assert energy(4.001) == pytest.approx(apart, rel=1e-12)
    assert energy(3.9999) == pytest.approx(apart, rel=1e-6)
    assert abs(energy(3.0) - apart) > 1e-5


def test_each_relaxed_layer_reports_its_error():
    model = TestPropertySEGNN().build(relaxed=True)
    errors = layer_equivariance_errors(model, molecule(dtype=torch.float64), SO3(), 2, generator=rng())
    assert list(errors) == [f"layers.{k}.update_{i}" for k in (0, 1) for i in (1, 2)]
    assert all(error.rel_mean > 1e-4 for error in errors.values())


def test_the_relaxed_model_still_ignores_translations():
    from equizoo.symmetry import Translations

    model = TestPropertySEGNN().build(relaxed=True)
    assert TestPropertySEGNN().error(model, Translations(10.0), torch.float64) < 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos": torch.full((14, 3), float("nan"))}, "finite"),
        ({"pos": torch.zeros(14, 3)}, "in one place"),
        ({"pos": torch.zeros(13, 3)}, "shapes"),
        ({"z": torch.zeros(14, dtype=torch.long)}, "atomic numbers"),
        ({"z": torch.tensor([1, 17] * 6 + [6, 35])}, r"\[1, 6, 7, 8, 9\].* with \[17, 35\]"),
        ({"batch": torch.arange(14).flip(0)}, "sorted"),
        ({"z": ELEMENTS[:0], "pos": torch.zeros(0, 3), "batch": ELEMENTS[:0]}, "no atoms"),
    ],
)
def test_bad_molecules(change, message):
    with pytest.raises(ValueError, match=message):
        small()(**{**molecule(), **change})


@torch.no_grad()
def test_every_element_can_be_known():
    model = small(elements=range(1, 100)).eval()
    z = torch.arange(1, 100)
    pos = 3.0 * torch.stack([z % 5, z // 5 % 5, z // 25], dim=1)
    assert model(z, pos, torch.zeros_like(z)).isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"radius": 0.0}, "radius must be positive"),
        ({"gaussians": 1}, "gaussians must be 0 or at least 2"),
        ({"elements": (0, 1)}, "atomic numbers from 1 to 99"),
        ({"elements": (1, 1)}, "elements must differ"),
        ({"readout": "median"}, "readout is one of"),
        ({"aggregations": ("sum",)}, r"readout 'published' must be among \['mean'\]"),
        ({"readout": "properties", "aggregations": ("median",)}, "aggregations"),
        ({"branch": "positions"}, "branch is one of"),
    ],
)
def test_bad_configurations(change, message):
    with pytest.raises(ValueError, match=message):
        MoleculeSEGNNConfig(**change)


def test_positions_are_required():
    with pytest.raises(TypeError, match="z, pos and batch"):
        small()(torch.tensor([1]))
