"""``model.save_pretrained`` and ``model.push_to_hub``, as users of transformers expect them."""

import copy
import pickle

import pytest
import torch

from equizoo.hub import errors
from equizoo.hub.config import read_config
from equizoo.hub.files import sha256
from equizoo.hub.loading import from_pretrained

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own


@pytest.mark.parametrize("variant", ["equivariant", "partial"])
def test_saving_what_was_loaded_changes_nothing(folder, tmp_path, variant):
    (folder / "results.json").write_text("{}")
    model = from_pretrained(folder, variant)
    model.save_pretrained(tmp_path / "new")
    path = f"{variant}/model.safetensors"
    assert (tmp_path / "new" / path).read_bytes() == (folder / path).read_bytes()
    new, old = read_config(tmp_path / "new"), read_config(folder)
    assert new.variants == {variant: old.variants[variant]}
    assert (new.calibration, new.training) == (old.calibration, old.training)
    assert (tmp_path / "new" / "results.json").read_text() == "{}"


def test_weights_that_were_changed_lose_what_was_measured(folder, tmp_path):
    (folder / "results.json").write_text("{}")
    model = from_pretrained(folder)
    with torch.no_grad():
        model.layers[0].lin.bias += 1
    model.save_pretrained(tmp_path / "new")
    again = from_pretrained(tmp_path / "new")
    x = torch.randn(3, 4)
    assert torch.equal(again(x), model(x))
    assert again.card.calibration == {}
    assert again.card.training.command == ""
    assert not (tmp_path / "new" / "results.json").exists()


def test_saving_never_removes_another_variant(folder):
    before = sha256((folder / "partial" / "model.safetensors").read_bytes())
    model = from_pretrained(folder)
    model.save_pretrained(folder)
    with torch.no_grad():
        model.layers[0].lin.bias += 1
    with pytest.raises(errors.CheckpointError, match="another variant"):
        model.save_pretrained(folder)
    assert sha256((folder / "partial" / "model.safetensors").read_bytes()) == before


def test_a_copy_saves_itself(folder, tmp_path):
    model = from_pretrained(folder)
    for k, twin in enumerate((copy.deepcopy(model), pickle.loads(pickle.dumps(model)))):  # noqa: S301
        with torch.no_grad():
            twin.layers[0].lin.bias += 1 + k
        twin.save_pretrained(tmp_path / f"{k}")
        assert torch.equal(from_pretrained(tmp_path / f"{k}").layers[0].lin.bias, twin.layers[0].lin.bias)
        assert not torch.equal(twin.layers[0].lin.bias, model.layers[0].lin.bias)


def test_pushing_a_model_that_was_trained_further(zoo, hub, folder):
    model = from_pretrained(folder)
    with torch.no_grad():
        model.layers[0].lin.bias += 1
    url = model.push_to_hub("org/mine", private=True, commit_message="first try")
    assert url.startswith(f"{hub.url}/org/mine/commit/")
    repo = hub.repos["org/mine"]
    card = repo.commits[repo.branches["main"]]["README.md"].decode()
    assert repo.private
    assert "their errors are not known" in card
    assert "model-index" not in card
    assert torch.equal(from_pretrained("org/mine").layers[0].lin.bias, model.layers[0].lin.bias)


def test_pushing_a_bundled_model_takes_its_results_along(hub):
    model = from_pretrained("schnet-qm9-strict")
    model.push_to_hub("org/strict")
    files = hub.repos["org/strict"].commits[hub.repos["org/strict"].branches["main"]]
    assert "results.json" in files
    assert b"model-index" in files["README.md"]
    assert from_pretrained("org/strict").card == model.card
