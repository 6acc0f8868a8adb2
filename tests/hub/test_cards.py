"""The files that the cards are written to, and how they go stale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from equizoo.hub import cards, errors
from equizoo.hub.experiments import MARKERS as TABLES
from equizoo.hub.files import sha256
from equizoo.hub.readme import MARKERS
from equizoo.hub.registry import Registry, bundled
from tests.hub.card_samples import PUBLISHED, REPOSITORY, row, trained_checkpoint

BEGIN, END = "<!-- results:qm9:begin -->", "<!-- results:qm9:end -->"
EXPERIMENTS = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in TABLES)
OTHERS = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in MARKERS if name != "results:qm9")
README = f"# zoo\n\n{BEGIN}\n{END}\n\n{OTHERS}\nafter\n"


@pytest.fixture
def shipped(tmp_path_factory):
    return trained_checkpoint(tmp_path_factory.getbasetemp())


@pytest.fixture
def root(tmp_path):
    (tmp_path / "model_cards").mkdir()
    shutil.copy(PUBLISHED, tmp_path / "model_cards")
    (tmp_path / "model_cards" / "README.md").write_text(EXPERIMENTS)
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def test_cards_of_this_repository_are_up_to_date():
    stale = cards.check_cards(bundled(), REPOSITORY)
    assert stale == [], "run python -m equizoo.hub.cards"


def test_an_empty_zoo_leaves_the_readme(root):
    registry = Registry(root / "hub")
    assert cards.check_cards(registry, root) == []
    assert cards.write_cards(registry, root) == []
    assert (root / "README.md").read_text() == README


def test_writing_then_checking_then_changing(root, zoo, shipped):
    zoo.register(shipped, "a summary of its own")
    card, copy = root / "model_cards" / "schnet-tiny.md", zoo.zoo / "schnet-tiny" / "README.md"
    changed = [card, copy, root / "README.md"]
    assert cards.check_cards(zoo, root) == changed
    assert cards.write_cards(zoo, root) == changed
    assert cards.check_cards(zoo, root) == []
    assert card.read_bytes() == copy.read_bytes()
    entry = zoo.entries()["schnet-tiny"]
    assert entry.summary == "a summary of its own"
    assert entry.files["README.md"] == sha256(copy.read_bytes())
    readme = (root / "README.md").read_text()
    assert readme.startswith("# zoo\n") and readme.endswith("after\n")
    assert row(readme, "gap", "eV")[1:] == ["0.0758 ± 0.0008", "0.0686 ± 0.0011"]
    assert row(readme, "epochs", "") == ["1", "1,000", "1,000"]
    results = zoo.zoo / "schnet-tiny" / "results.json"
    results.write_text(results.read_text().replace('"seed": 0', '"seed": 7'))
    zoo.register(results.parent, entry.summary)
    assert cards.check_cards(zoo, root) == [card, copy]
    cards.write_cards(zoo, root)
    assert "Seed: 7" in card.read_text()
    copy.write_text("edited")
    assert cards.check_cards(zoo, root) == [copy]
    cards.write_cards(zoo, root)
    assert copy.read_bytes() == card.read_bytes()


def test_a_registry_without_the_card_is_stale(root, zoo, shipped):
    zoo.register(shipped)
    cards.write_cards(zoo, root)
    entries = json.loads(zoo.path.read_text())
    del entries["schnet-tiny"]["files"]["README.md"]
    zoo.path.write_text(json.dumps(entries))
    card = zoo.zoo / "schnet-tiny" / "README.md"
    assert cards.check_cards(zoo, root) == [card]
    cards.write_cards(zoo, root)
    assert zoo.entries()["schnet-tiny"].files["README.md"] == sha256(card.read_bytes())


def test_the_card_of_a_checkpoint_that_is_gone_goes(root, zoo, shipped):
    zoo.register(shipped)
    cards.write_cards(zoo, root)
    by_hand = root / "model_cards" / "about.md"
    by_hand.write_text("written by hand")
    zoo.path.unlink()
    shutil.rmtree(zoo.zoo)
    cards.write_cards(zoo, root)
    assert sorted(p.name for p in (root / "model_cards").glob("*.md")) == ["README.md", "about.md"]
    assert (root / "README.md").read_text() == README


def test_changed_or_missing_results_are_refused(root, zoo, shipped):
    zoo.register(shipped)
    results = zoo.zoo / "schnet-tiny" / "results.json"
    results.write_text(results.read_text().replace("0", "1"))
    with pytest.raises(errors.DigestMismatch, match="register"):
        cards.write_cards(zoo, root)
    results.unlink()
    with pytest.raises(errors.CheckpointNotFound, match=r"results\.json"):
        cards.write_cards(zoo, root)
    assert not (root / "model_cards" / "schnet-tiny.md").exists()


def test_a_changed_number_fails_the_check(root, zoo, shipped, monkeypatch, capsys, caplog):
    monkeypatch.setattr(cards, "bundled", lambda: zoo)
    monkeypatch.setattr(cards, "repository", lambda: root)
    caplog.set_level("INFO")
    zoo.register(shipped)
    assert cards.main([]) == 0 == cards.main(["--check"])
    path = zoo.zoo / "schnet-tiny" / "results.json"
    results = json.loads(path.read_text())
    results["variants"]["equivariant"]["errors"]["gap"] *= 0.9
    path.write_text(json.dumps(results))
    assert cards.main(["--check"]) == 2
    assert "is not the registered file" in capsys.readouterr().err
    zoo.register(path.parent)
    caplog.clear()
    assert cards.main(["--check"]) == 1
    stale = ["model_cards/schnet-tiny.md", "bundled/zoo/schnet-tiny/README.md", "README.md"]
    assert caplog.messages == [f"stale: {path}" for path in stale]


def test_an_unregistered_checkpoint_is_refused(root, zoo, shipped):
    shutil.copytree(shipped, zoo.zoo / "schnet-tiny")
    with pytest.raises(errors.CheckpointError, match="not registered"):
        cards.check_cards(zoo, root)


@pytest.mark.parametrize(
    "text", ["no markers", BEGIN, END + BEGIN, README + README, README.replace(OTHERS, "")]
)
def test_a_readme_without_its_markers_is_refused(root, text):
    (root / "README.md").write_text(text)
    with pytest.raises(errors.EquizooError, match="once each"):
        cards.check_cards(Registry(root / "hub"), root)


def test_the_command(root, zoo, shipped, monkeypatch, capsys, caplog):
    monkeypatch.setattr(cards, "bundled", lambda: zoo)
    monkeypatch.setattr(cards, "repository", lambda: root)
    caplog.set_level("INFO")
    zoo.register(shipped)
    assert cards.main(["--check"]) == 1
    assert f"stale: {Path('model_cards') / 'schnet-tiny.md'}" in caplog.messages
    assert cards.main([]) == 0
    assert cards.main(["--check"]) == 0
    (root / "README.md").write_text("")
    assert cards.main(["--check"]) == 2
    assert "error: README.md" in capsys.readouterr().err
