"""Recipes: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

import pytest

from equizoo.training.config import RECIPES, ConfigError, RunConfig, from_dict, load_recipe, parse_yaml
from equizoo.training.runfolder import check_resumable
from equizoo.training.sweep import parse_seeds

PARTICLES = ("strict", "ace", "resilient", "cr", "recm", "augment")


def test_overrides_are_typed_as_yaml():
    config = load_recipe(
        "schnet-qm9-ace",
        ["optimiser.lr=3e-4", "budget.max_minutes=1", "data.targets=[gap, mu]", "method.gamma_lr=null"],
    )
    assert config.optimiser.lr == 3e-4
    assert config.budget.max_minutes == 1.0
    assert config.data["targets"] == ["gap", "mu"]
    assert config.method["gamma_lr"] is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budget.epoch=3", r"unknown key 'budget.epoch'; did you mean 'epochs'"),
        ("optimizer.lr=3", r"unknown key 'optimizer'; did you mean 'optimiser'"),
        ("budget.epochs=many", r"'budget.epochs' must be int, got 'many'"),
        ("budget.epochs=true", r"'budget.epochs' must be int, got True"),
        ("budget.epochs", r"must look like section.key=value"),
        ("seed.a=1", r"cannot set 'seed.a'"),
        ("budget=3", r"'budget' must be a mapping"),
        ("optimiser.betas=[0.9, x]", r"'optimiser.betas' must be float"),
        ("name=[", "not valid YAML"),
        ("budget.epochs=0", r"'budget.epochs' must be at least 1, got 0"),
        ("evaluation.limit=0", r"'evaluation.limit' must be at least 1, got 0"),
        ("optimiser.lr=.nan", r"'optimiser.lr' must be at least 0, got nan"),
        ("evaluation.ema=1.0", r"'evaluation.ema' must be in \[0, 1\), got 1.0"),
        ("schedule.final=1.5", r"'schedule.final' must be in \[0, 1\], got 1.5"),
        ("schedule.decay=-0.1", r"'schedule.decay' must be in \[0, 1\], got -0.1"),
        ("optimiser.betas=[0.9]", r"'optimiser.betas' must be two numbers in \[0, 1\), got \[0.9\]"),
        ("optimiser.clip=0", r"'optimiser.clip' must be above 0"),
    ],
)
def test_a_bad_override_is_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe("schnet-qm9-ace", [override])


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="missing key 'data'"):
        from_dict({"name": "x", "model": {}})


def test_an_unknown_recipe_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'schnet-qm9-ace'"):
        load_recipe("schnet-qm9-acee")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="must hold a mapping"):
        load_recipe(tmp_path / "list.yaml")


def test_a_resolved_config_can_be_run_again(tmp_path):
    config = load_recipe("schnet-qm9-ace").replace(provenance={"versions": {"torch": "2"}})
    file = tmp_path / "config.yaml"
    import yaml

    file.write_text(yaml.safe_dump(config.to_dict()))
    assert load_recipe(file) == config


def test_bundled_recipes_are_in_order():
    names = {path.stem for path in RECIPES.glob("*.yaml")}
    assert names >= {f"schnet-qm9-{kind}" for kind in ("strict", "ace", "paper-strict", "paper-ace")}
    assert names >= {f"segnn-nbody-{kind}" for kind in (*PARTICLES, "paper-strict", "paper-ace")}
    for name in names:
        assert load_recipe(name).name == name


@pytest.mark.parametrize("kind", ["", "paper-"])
def test_strict_and_ace_recipes_differ_in_the_method_only(kind):
    strict, ace = (load_recipe(f"schnet-qm9-{kind}{end}").to_dict() for end in ("strict", "ace"))
    for tree in (strict, ace):
        tree["model"].pop("branch", None)
        del tree["method"], tree["name"]
    assert strict == ace


def test_particle_recipes_differ_in_the_method_only():
    trees = {kind: load_recipe(f"segnn-nbody-{kind}").to_dict() for kind in PARTICLES}
    assert all(tree["data"]["rotate"] for tree in trees.values())
    for tree in trees.values():
        tree["model"].pop("branch", None)
        del tree["method"], tree["name"]
        assert tree == trees["strict"]
    paper = [load_recipe(f"segnn-nbody-paper-{kind}").to_dict() for kind in ("strict", "ace")]
    for tree in paper:
        del tree["method"], tree["name"]
    assert paper[0] == paper[1]
    assert paper[0]["data"] == {"task": "nbody", "train_samples": 3000}
    assert paper[0]["budget"]["epochs"] == 2000


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 1e-3), ("5", 5), ("a", "a"), ("-2.5E+2", -250.0), ("null", None)]
)
def test_numbers_of_yaml(text, value):
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


def test_seeds():
    assert parse_seeds("0-2,7,1") == [0, 1, 2, 7]
    for bad in ("", "a", "1-", "3-1"):
        with pytest.raises(ConfigError, match="--seeds"):
            parse_seeds(bad)


def test_what_may_change_on_resuming():
    old = RunConfig("x", {"task": "qm9"}, {"family": "schnet"})
    assert check_resumable(old, old.replace(budget__max_minutes=3.0, optimiser__lr=1.0)) == [
        "budget.max_minutes",
        "optimiser.lr",
    ]
    with pytest.raises(ConfigError, match=r"budget\.batch_size was 128, now 7"):
        check_resumable(old, old.replace(budget__batch_size=7))
