import io
import json

import pytest
import torch
from torch import nn

from equizoo.hub import export as module
from equizoo.hub.errors import ExportError
from equizoo.hub.export import export
from equizoo.models.schnet import SchNet, SchNetConfig

AGGREGATIONS = ("sum", "mean", "attention", "dipole", "extent")


def small(**changes):
    torch.manual_seed(0)
    shape = {"hidden": 8, "interactions": 1, "gaussians": 4, "aggregations": AGGREGATIONS}
    model = SchNet(SchNetConfig(**shape | changes))
    targets = len(model.config.aggregations)
    model.set_statistics(torch.rand(targets) + 0.5, torch.rand(targets), torch.rand(100, targets))
    return model.eval()


def molecules(counts):
    n = sum(counts)
    generator = torch.Generator().manual_seed(n)
    z = torch.tensor([1, 6, 8])[torch.randint(3, (n,), generator=generator)]
    return z, 3 * torch.rand(n, 3, generator=generator), torch.tensor(counts)


def expected(model, z, pos, counts):
    with torch.no_grad():
        return model(z, pos, torch.arange(len(counts)).repeat_interleave(counts))


@pytest.mark.parametrize("changes", [{}, {"relaxed": True}], ids=["equivariant", "partial"])
def test_torch_program_computes_the_model_at_other_sizes(tmp_path, changes):
    model = small(**changes)
    report = export(model, tmp_path / "a.pt2")
    program = torch.export.load(report.path).module()
    assert report.inputs == ("z", "pos", "counts")
    assert report.deviation < 1e-6
    for counts in ([5, 1, 20], [1], [2]):
        inputs = molecules(counts)
        with torch.no_grad():
            torch.testing.assert_close(program(*inputs), expected(model, *inputs), rtol=1e-5, atol=1e-5)


def test_onnx_program_computes_the_model_at_other_sizes(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = small(relaxed=True)
    report = export(model, tmp_path / "a.onnx", "onnx")
    assert report.deviation < 1e-4
    session = onnxruntime.InferenceSession(report.path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["z", "pos", "counts"]
    for counts in ([5, 1, 20], [3]):
        inputs = molecules(counts)
        (found,) = session.run(
            ["targets"], {k: v.numpy() for k, v in zip(report.inputs, inputs, strict=True)}
        )
        torch.testing.assert_close(torch.from_numpy(found), expected(model, *inputs), rtol=1e-4, atol=1e-4)


def test_export_of_a_checkpoint_carries_its_card(tmp_path):
    from equizoo.hub.checkpoint import save_checkpoint
    from tests.hub.conftest import CARD

    model = small(aggregations=("sum",))
    save_checkpoint(tmp_path / "small", CARD | {"family": "schnet"}, {"equivariant": model})
    report = export(str(tmp_path / "small"), tmp_path / "a.pt2")
    extra = {"config.json": ""}
    torch.export.load(io.BytesIO(report.path.read_bytes()), extra_files=extra)
    assert json.loads(extra["config.json"])["targets"][0]["unit"] == "eV"


def test_export_leaves_the_model_as_it_was(tmp_path):
    model = small().train()
    export(model, tmp_path / "a.pt2")
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_program_that_deviates_is_not_written(tmp_path, monkeypatch):
    def wrong(program, path, text):
        path.write_bytes(b"program")
        return lambda *inputs: program(*inputs) * 1.01

    monkeypatch.setattr(module, "_export_torch", wrong)
    with pytest.raises(ExportError, match="deviates from the model"):
        export(small(), tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())


def test_a_program_that_gives_nan_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_export_torch", lambda program, *_: lambda *x: program(*x) * float("nan"))
    with pytest.raises(ExportError, match="deviates"):
        export(small(), tmp_path / "a.pt2")


@pytest.mark.parametrize(
    ("model", "name", "form", "match"),
    [
        (nn.Linear(2, 2), "a.pt2", "torch", "only models of molecular"),
        (None, "a.pt2", "tflite", "one of torch, onnx"),
        (None, "a.pt2", "onnx", r"must end in \.onnx"),
        (None, "no/a.pt2", "torch", "no folder"),
    ],
)
def test_what_cannot_be_exported(tmp_path, model, name, form, match):
    with pytest.raises(ExportError, match=match):
        export(model or small(), tmp_path / name, form)
