import dataclasses
import io
import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from equizoo.hub import errors
from equizoo.hub.checkpoint import load_checkpoint, save_checkpoint, weights_bytes
from equizoo.hub.files import sha256
from equizoo.relaxation.layer import relaxations
from tests.hub.conftest import CARD, Tiny, TinyConfig, edit


def weights(folder: Path, variant: str = "equivariant") -> Path:
    return folder / variant / "model.safetensors"


def put(folder: Path, content: bytes, variant: str = "equivariant") -> None:
    """Replace a weight file and pin its digest, so that only its content is wrong."""
    weights(folder, variant).write_bytes(content)
    edit(folder, lambda data: data["variants"][variant].update(sha256=sha256(content)))


def put_state(folder: Path, change: object) -> None:
    state = safetensors.torch.load(weights(folder).read_bytes())
    change(state)
    put(folder, safetensors.torch.save(state))


@pytest.mark.parametrize("variant", ["equivariant", "partial"])
def test_save_then_load_is_bit_exact(folder, models, variant):
    loaded, saved = load_checkpoint(folder, variant), models[variant]
    assert loaded.state_dict().keys() == saved.state_dict().keys()
    for key, value in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
    x = torch.randn(5, 4)
    assert torch.equal(loaded(x), saved.eval()(x))


def test_loaded_model_carries_its_card_evaluates_and_can_be_trained(folder):
    model = load_checkpoint(folder)
    assert not model.training
    assert model.card.targets[0].unit == "eV"
    assert model.card.name == "tiny-qm9"
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_partial_variant_records_gamma_and_folded_layers(folder):
    model = load_checkpoint(folder, "partial")
    assert list(relaxations(model)) == ["layers.1"]
    assert model.card.variants["partial"].folded == ("layers.0",)
    assert model.card.variants["partial"].gamma == {"layers.1": 0.5}
    assert model.card.variants["equivariant"].gamma is None


def test_partial_variant_with_every_layer_folded_loads(tmp_path, models):
    card = save_checkpoint(tmp_path / "all", CARD, {"partial": models["equivariant"]})
    assert card.variants["partial"].folded == ("layers.0", "layers.1")
    assert not relaxations(load_checkpoint(tmp_path / "all", "partial"))


@pytest.mark.parametrize("dtype", [torch.float64, "float64"])
def test_dtype(folder, dtype):
    model = load_checkpoint(folder, dtype=dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    assert model.norm.num_batches_tracked.dtype == torch.int64


@pytest.mark.parametrize("dtype", ["int64", "floaty", torch.int32])
def test_dtype_that_is_not_floating_is_refused(folder, dtype):
    with pytest.raises(ValueError, match="floating-point"):
        load_checkpoint(folder, dtype=dtype)


def test_device(folder):
    assert next(load_checkpoint(folder, device="meta").parameters()).device.type == "meta"


def test_double_precision_is_kept(tmp_path):
    model = Tiny(TinyConfig()).double()
    save_checkpoint(tmp_path / "double", CARD, {"equivariant": model})
    assert torch.equal(load_checkpoint(tmp_path / "double").layers[0].lin.weight, model.layers[0].lin.weight)


def test_large_parameters_that_half_precision_holds_are_stored_in_it(tmp_path):
    model = Tiny(TinyConfig(width=40))
    for layer in model.layers:
        layer.lin.weight.data = layer.lin.weight.half().float()
    card = save_checkpoint(tmp_path / "half", CARD, {"equivariant": model})
    stored = safetensors.torch.load(weights(tmp_path / "half").read_bytes())
    assert {key for key, value in stored.items() if value.dtype == torch.float16} == {
        "layers.0.lin.weight", "layers.1.lin.weight",
    }  # fmt: skip
    loaded = load_checkpoint(tmp_path / "half")
    for key, value in model.state_dict().items():
        assert loaded.state_dict()[key].dtype == value.dtype and torch.equal(loaded.state_dict()[key], value)
    assert load_checkpoint(tmp_path / "half", dtype="float64").layers[0].lin.weight.dtype == torch.float64
    assert sha256(weights_bytes(loaded, "equivariant")) == card.variants["equivariant"].sha256
    model.layers[0].lin.weight.data += 1e-5
    save_checkpoint(tmp_path / "half", CARD, {"equivariant": model})
    stored = safetensors.torch.load(weights(tmp_path / "half").read_bytes())
    assert torch.float16 not in {value.dtype for value in stored.values()}


def test_loading_leaves_the_random_state(folder):
    before = torch.get_rng_state()
    load_checkpoint(folder, "partial")
    assert torch.equal(before, torch.get_rng_state())


def test_missing_key(folder):
    put_state(folder, lambda state: state.pop("norm.weight"))
    with pytest.raises(errors.MissingKeys, match=r"lacks 1 tensor \('norm.weight'\)"):
        load_checkpoint(folder)


def test_renamed_key_names_both(folder):
    put_state(folder, lambda state: state.update(extra=state.pop("norm.weight")))
    with pytest.raises(errors.MissingKeys, match=r"'norm.weight'.*'extra'"):
        load_checkpoint(folder)


def test_unexpected_key(folder):
    put_state(folder, lambda state: state.update(extra=torch.zeros(1)))
    with pytest.raises(errors.UnexpectedKeys, match="'extra'"):
        load_checkpoint(folder)


def test_wrong_shape(folder):
    put_state(folder, lambda state: state.update({"norm.weight": torch.zeros(5)}))
    with pytest.raises(errors.ShapeMismatch, match=r"'norm.weight' has shape \(5,\), the model's is \(4,\)"):
        load_checkpoint(folder)


def test_wrong_digest(folder):
    content = bytearray(weights(folder).read_bytes())
    content[-1] ^= 1
    weights(folder).write_bytes(content)
    with pytest.raises(errors.DigestMismatch, match="not the published file"):
        load_checkpoint(folder)


@pytest.mark.parametrize("keep", [0, 5, 8, 40, -1])
def test_truncated_file(folder, keep):
    weights(folder).write_bytes(weights(folder).read_bytes()[:keep])
    with pytest.raises(errors.CorruptWeights, match="truncated"):
        load_checkpoint(folder)


def test_damaged_header(folder):
    put(folder, (9).to_bytes(8, "little") + b'{"a":[1]}')
    with pytest.raises(errors.CorruptWeights, match="header"):
        load_checkpoint(folder)


def test_header_that_does_not_fit_the_data(folder):
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}'
    put(folder, len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(errors.CorruptWeights, match="damaged"):
        load_checkpoint(folder)


def test_renamed_pickle(folder):
    put(folder, pickle.dumps({"weight": [1.0]}))
    with pytest.raises(errors.PickleRefused, match="under another name"):
        load_checkpoint(folder)


def test_renamed_torch_archive(folder):
    buffer = io.BytesIO()
    torch.save(Tiny(TinyConfig()).state_dict(), buffer)
    put(folder, buffer.getvalue())
    with pytest.raises(errors.PickleRefused):
        load_checkpoint(folder)


@pytest.mark.parametrize("place", [".", "equivariant"])
def test_pickle_in_place_of_the_weights(folder, place):
    weights(folder).unlink()
    (folder / place / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(errors.PickleRefused, match=r"pytorch_model\.bin"):
        load_checkpoint(folder)


def test_missing_weights(folder):
    weights(folder).unlink()
    with pytest.raises(errors.CheckpointNotFound, match=r"model\.safetensors does not exist"):
        load_checkpoint(folder)


def test_unknown_variant(folder):
    with pytest.raises(errors.UnknownVariant, match="no variant 'full'; it has 'equivariant', 'partial'"):
        load_checkpoint(folder, "full")


def test_no_checkpoint(tmp_path):
    with pytest.raises(errors.CheckpointNotFound, match=r"no config\.json"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (
            lambda data: data["config"].update(widht=3),
            errors.UnknownConfigKey,
            "'widht'; did you mean 'width'",
        ),
        (lambda data: data["config"].update(width="4"), errors.ConfigError, "width must be int, got '4'"),
        (lambda data: data["config"].update(width=-4), errors.ConfigError, "cannot be built: width"),
        (lambda data: data.update(family="tinny"), errors.ConfigError, "'tinny'; did you mean 'tiny'"),
        (
            lambda data: data["variants"]["partial"].update(folded=["layers.7"]),
            errors.ConfigError,
            r"layers\.7",
        ),
    ],
)
def test_config_that_does_not_fit_the_family(folder, change, error, match):
    edit(folder, change)
    with pytest.raises(error, match=match):
        load_checkpoint(folder, "partial")


def test_folding_other_layers_than_were_folded_raises(folder):
    edit(folder, lambda data: data["variants"]["partial"].update(folded=[]))
    with pytest.raises(errors.MissingKeys, match=r"layers\.0\.relaxation"):
        load_checkpoint(folder, "partial")


def test_save_refuses_nan_and_writes_nothing(tmp_path, models):
    nn.init.constant_(models["partial"].norm.bias, float("nan"))
    with pytest.raises(errors.NonFiniteWeights, match=r"norm\.bias"):
        save_checkpoint(tmp_path / "nan", CARD, models)
    assert not list(tmp_path.iterdir())


def test_save_refuses_a_relaxed_model_as_equivariant(tmp_path):
    with pytest.raises(errors.UnexpectedKeys, match="relaxation"):
        save_checkpoint(tmp_path / "wrong", CARD, {"equivariant": Tiny(TinyConfig(relaxed=True))})
    assert not list(tmp_path.iterdir())


def test_save_refuses_models_of_different_shape(tmp_path, models):
    models["partial"] = Tiny(TinyConfig(width=5, relaxed=True))
    with pytest.raises(errors.CheckpointError, match="different configs"):
        save_checkpoint(tmp_path / "mixed", CARD, models)


@pytest.mark.parametrize("given", [{}, {"equivariant": nn.Linear(2, 2)}])
def test_save_refuses_what_cannot_be_built_again(tmp_path, given):
    with pytest.raises(errors.CheckpointError):
        save_checkpoint(tmp_path / "none", CARD, given)


def test_save_does_not_overwrite_a_folder_that_is_no_checkpoint(tmp_path, models):
    (tmp_path / "thesis.txt").write_text("dear to me")
    with pytest.raises(errors.CheckpointError, match="not a checkpoint"):
        save_checkpoint(tmp_path, CARD, models)
    assert (tmp_path / "thesis.txt").read_text() == "dear to me"


def test_save_again_keeps_the_card_and_drops_old_variants(folder, models):
    (folder / "README.md").write_text("measured")
    config = load_checkpoint(folder).card
    save_checkpoint(
        folder, dataclasses.replace(config, method="none"), {"equivariant": models["equivariant"]}
    )
    assert (folder / "README.md").read_text() == "measured"
    assert not (folder / "partial").exists()
    assert json.loads((folder / "config.json").read_text())["method"] == "none"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_failed_save_leaves_the_old_checkpoint(folder, models):
    before = load_checkpoint(folder).state_dict()
    with pytest.raises(errors.ConfigError):
        save_checkpoint(folder, CARD | {"name": "Not A Name"}, models)
    with pytest.raises(errors.UnexpectedKeys):
        save_checkpoint(folder, CARD, {"equivariant": Tiny(TinyConfig(relaxed=True))})
    assert all(torch.equal(before[key], value) for key, value in load_checkpoint(folder).state_dict().items())
