"""What every model family must satisfy: subclass :class:`EquivariantModelSuite` and fill in the hooks."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from equizoo.relaxation import project, project_state, projected, relaxations
from equizoo.symmetry import O3, SO3, Group, Permutations, Translations, equivariance_error

SIZES = (5, 2, 7)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


class EquivariantModelSuite:
    """Tests shared by all families.

    Hooks to fill in: :meth:`make_config`, :meth:`make_model`, :meth:`make_batch`. The model states
    ``input_types`` and ``output_type``, takes keyword arguments and returns one tensor; nodes of all graphs
    lie on one axis, with a sorted ``batch``.
    """

    rotations: Group = SO3()
    reflections: Group | None = O3()
    translations: Group | None = Translations(scale=10.0)
    rtol = {torch.float64: 1e-9, torch.float32: 1e-4}  # noqa: RUF012
    position_key = "pos"
    terms_apart = (
        True  # False: layers take a map and its term in one product, and γ = 0 is plain to round-off
    )

    def make_config(self, relaxed: bool):
        """Return the configuration of a small model."""
        raise NotImplementedError

    def make_model(self, relaxed: bool, dtype: torch.dtype = torch.float64):
        """Return a model; parameters are random (the suite has set the seed)."""
        raise NotImplementedError

    def make_batch(self, dtype: torch.dtype, generator: torch.Generator, sizes=SIZES) -> dict:
        """Return the keyword arguments for graphs of the given sizes; other sizes give other positions."""
        raise NotImplementedError

    def member(self, inputs: dict, graph: int) -> dict:
        """Return the keyword arguments for one graph of a batch."""
        mine = inputs["batch"] == graph
        return {name: x[mine] if name != "batch" else torch.zeros_like(x[mine]) for name, x in inputs.items()}

    def make_program(self, model):
        """Return what ``torch.export`` gets: the model, or a wrapper without data-dependent sizes."""
        return model

    def program_inputs(self, inputs: dict) -> dict:
        """Return the keyword arguments of that module for a batch of the model."""
        return inputs

    def build(self, relaxed=False, dtype=torch.float64, gamma=None):
        """Return a seeded model in evaluation mode, with branches that are not zero and every γ set."""
        torch.manual_seed(0)
        model = self.make_model(relaxed, dtype).eval()
        with torch.no_grad():
            for term in relaxations(model).values():
                term.gamma.fill_(0.7 if gamma is None else gamma)
                for parameter in term.branch.parameters():
                    parameter.add_(
                        torch.randn(parameter.shape, generator=rng(9), dtype=torch.float64).to(dtype) / 4
                    )
        return model

    def error(self, model, group, dtype, inputs=None):
        inputs = self.make_batch(dtype, rng(1)) if inputs is None else inputs
        return equivariance_error(model, inputs, group, 4, generator=rng(2)).rel_max

    def tolerance(self, dtype):
        return {"rtol": self.rtol[dtype], "atol": self.rtol[dtype]}

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
    @pytest.mark.parametrize("kind", ["rotations", "reflections", "translations", "permutations"])
    def test_symmetry(self, kind, dtype):
        group = Permutations(SIZES) if kind == "permutations" else getattr(self, kind)
        if group is None:
            pytest.skip(f"{kind} are no symmetry of this family")
        assert self.error(self.build(dtype=dtype), group, dtype) < self.rtol[dtype]

    def test_the_relaxed_model_really_breaks_the_symmetry(self):
        assert self.error(self.build(relaxed=True), self.rotations, torch.float64) > 1e-6

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
    def test_the_projected_model_is_equivariant(self, dtype):
        model = self.build(relaxed=True, dtype=dtype)
        plain = project(model)
        assert not relaxations(plain) and relaxations(model)
        for group in filter(None, (self.rotations, self.reflections, self.translations, Permutations(SIZES))):
            assert self.error(plain, group, dtype) < self.rtol[dtype]
            with projected(model):
                assert self.error(model, group, dtype) < self.rtol[dtype]

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
    @torch.no_grad()
    def test_projection_is_the_plain_model_bit_for_bit(self, dtype):
        relaxed = self.build(relaxed=True, dtype=dtype, gamma=0.0)
        torch.manual_seed(1)
        plain = self.make_model(False, dtype).eval()
        plain.load_state_dict(project_state(relaxed.state_dict()))
        inputs = self.make_batch(dtype, rng(1))
        expected = plain(**inputs)
        assert expected.dtype == dtype and expected.abs().max() > 0
        exact = {"rtol": 0, "atol": 0}
        torch.testing.assert_close(
            relaxed(**inputs), expected, **exact if self.terms_apart else self.tolerance(dtype)
        )
        assert torch.equal(project(relaxed)(**inputs), expected)
        assert torch.equal(project(self.build(relaxed=True, dtype=dtype))(**inputs), expected)

    def test_projection_changes_the_config_and_the_state(self):
        plain = project(self.build(relaxed=True))
        assert plain.config == self.make_config(False)
        assert plain.state_dict().keys() == self.build().state_dict().keys()

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    @torch.no_grad()
    def test_a_batch_equals_its_members(self, relaxed, dtype):
        model, inputs = self.build(relaxed, dtype), self.make_batch(dtype, rng(1))
        members = [model(**self.member(inputs, graph)) for graph in range(len(SIZES))]
        torch.testing.assert_close(model(**inputs), torch.cat(members), **self.tolerance(dtype))

    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    @torch.no_grad()
    def test_a_single_node(self, relaxed):
        model = self.build(relaxed)
        single = model(**self.make_batch(torch.float64, rng(1), (1,)))
        assert single.shape[0] == 1 and torch.isfinite(single).all()
        mixed = self.make_batch(torch.float64, rng(1), (1, 4, 1))
        members = [model(**self.member(mixed, graph)) for graph in range(3)]
        torch.testing.assert_close(model(**mixed), torch.cat(members), **self.tolerance(torch.float64))

    @torch.no_grad()
    def test_empty_neighbourhoods(self):
        model, inputs = self.build(), self.make_batch(torch.float64, rng(1))
        inputs[self.position_key] = 1e3 * inputs[self.position_key]
        assert torch.isfinite(model(**inputs)).all()
        assert self.error(model, self.rotations, torch.float64, inputs) < self.rtol[torch.float64]

    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    @torch.no_grad()
    def test_saving_and_loading_is_exact(self, relaxed, tmp_path):
        model, inputs = self.build(relaxed, torch.float32), self.make_batch(torch.float32, rng(1))
        save_file(
            {key: x.contiguous() for key, x in model.state_dict().items()}, tmp_path / "model.safetensors"
        )
        torch.manual_seed(1)
        other = self.make_model(relaxed, torch.float32).eval()
        assert not torch.equal(other(**inputs), model(**inputs))
        other.load_state_dict(load_file(tmp_path / "model.safetensors"))
        assert torch.equal(other(**inputs), model(**inputs))

    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    def test_a_missing_or_extra_key_is_refused(self, relaxed):
        model = self.build(relaxed)
        state = dict(model.state_dict())
        with pytest.raises(RuntimeError, match=r"Unexpected key.*spare"):
            model.load_state_dict({**state, "spare": torch.zeros(1)})
        name = next(reversed(state))
        with pytest.raises(RuntimeError, match="Missing key"):
            model.load_state_dict({key: x for key, x in state.items() if key != name})

    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    def test_derivatives_with_respect_to_positions(self, relaxed):
        model, inputs = self.build(relaxed), self.make_batch(torch.float64, rng(1), (3, 2))
        positions = inputs.pop(self.position_key).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: model(**inputs, **{self.position_key: x}), positions)

    @pytest.mark.parametrize("relaxed", [False, True], ids=["plain", "relaxed"])
    def test_every_parameter_gets_a_gradient(self, relaxed):
        model = self.build(relaxed, torch.float32).train()
        model(**self.make_batch(torch.float32, rng(1))).square().sum().backward()
        idle = [name for name, x in model.named_parameters() if x.grad is None or not x.grad.abs().max() > 0]
        assert idle == []

    @pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
    @torch.no_grad()
    def test_export_with_a_second_size(self):
        program = self.make_program(self.build(dtype=torch.float32))
        first, second = (
            self.program_inputs(self.make_batch(torch.float32, rng(1), sizes))
            for sizes in (SIZES, (4, 6, 3, 2))
        )
        shapes = {name: {0: torch.export.Dim.DYNAMIC} for name in first}
        exported = torch.export.export(program, (), first, dynamic_shapes=shapes).module()
        for inputs in (first, second):
            torch.testing.assert_close(exported(**inputs), program(**inputs), **self.tolerance(torch.float32))
