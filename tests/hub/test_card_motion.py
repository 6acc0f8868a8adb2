"""What the card of a model of moving bodies says, against the files that it is made from."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from equizoo.commands.zoo import run_info
from equizoo.data.mocap import load_mocap
from equizoo.hub import card_mocap, errors
from equizoo.hub.card_published import read_published
from equizoo.hub.card_text import render_card
from equizoo.hub.config import parse_config, read_config
from equizoo.hub.domain import parse_domain
from equizoo.hub.loading import from_pretrained
from equizoo.hub.paper_protocol import protocol_table
from equizoo.hub.readme import MARKERS, fill_readme
from equizoo.hub.registry import bundled
from equizoo.hub.strict import read_json
from tests.hub.card_samples import PUBLISHED, row
from tests.hub.test_config import VALID

DATA = Path(os.environ.get("EQUIZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")
EQUIVARIANT, PARTIAL = "`equivariant` (γ = 0)", "`partial` (γ kept)"
TINY = {
    "data.synthetic": 24,
    "model.hidden": 8,
    "model.layers": 1,
    "budget.epochs": 1,
    "schedule.warmup_steps": 1,
    "evaluation.every": 1,
    "evaluation.equivariance": 0,
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A checkpoint as ``publish`` writes it, but for saying that its motions were made up."""
    from equizoo.training.config import load_recipe
    from equizoo.training.loop import train
    from equizoo.training.publish import publish
    from equizoo.training.runfolder import write_json

    run = tmp_path_factory.mktemp("run")
    train(load_recipe("egno-mocap-run-resilient").replace(**TINY), run, progress=False)
    folder = publish(run, run / "egno-tiny", name="egno-tiny", recipe="egno-mocap-run-resilient", tolerance=0)
    results = json.loads((folder / "results.json").read_text())
    del results["data"]["synthetic"]
    write_json(folder / "results.json", results)
    return folder


@pytest.fixture
def read(shipped):
    return read_config(shipped), json.loads((shipped / "results.json").read_text())


def render(config, results):
    return render_card(config, results, read_published(PUBLISHED))


def walking(config):
    return replace(config, domain=replace(config.domain, motion="walk"))


@pytest.mark.parametrize(("projected", "kept"), [(0.3, 0.2), (34.7, 0.2)])
def test_a_network_that_needs_its_terms_is_shown_with_them(read, projected, kept):
    config, results = read
    for variant, score in (("equivariant", projected), ("partial", kept)):
        results["variants"][variant]["score"] = score
    text, needed = render(config, results), projected > 2 * kept
    assert ('model="egno-tiny", variant="partial")' in text) == needed
    assert ('# or variant="partial"' in text) != needed
    assert ("without them it is of no use" in text) == needed
    assert ("but of no use here, see Limitations" in text) == needed
    assert ("and the `equivariant` variant for those who move in another direction" in text) != needed
    assert "Trust it for bodies that move the same way (the pipeline warns of others)" in text
    assert f"**How wrong** (`{'partial' if needed else 'equivariant'}`)" in text


def test_what_a_model_that_needs_its_terms_is_worse_than_is_said(read):
    config, results = read
    results["variants"]["equivariant"]["score"], results["variants"]["partial"]["score"] = 23.5, 0.2
    results["baselines"] = {"no motion": 89.801, "constant velocity": 19.802}
    assert "of no use (worse than constant velocity, without a model)" in render(config, results)


def test_both_variants_stand_beside_published_figures_and_baselines(read):
    config, results = read
    results["variants"]["equivariant"]["errors"] = {"position": 0.412}
    results["variants"]["partial"]["errors"] = {"position": 0.2291}
    results["baselines"] = {"no motion": 89.801, "constant velocity": 19.802}
    text = render(config, results)
    assert "MSE of position [10⁻² length²]" in text
    assert row(text, EQUIVARIANT) == ["this checkpoint, seed 42", "41.2"]
    assert row(text, PARTIAL) == ["this checkpoint, seed 42", "22.9"]
    assert row(text, "EGNO") == ["published", "35.3 ± 3.2"]
    assert row(text, "EGNO + ACE, branch on") == ["published", "32.6 ± 1.6"]
    assert row(text, "EGNO + ACE, resilient") == ["published", "23.8 ± 1.5"]
    assert row(text, "no motion") == ["without a model", "8,980"]
    assert "The `partial` variant is below the mean of EGNO + ACE, resilient." in text
    assert "It predicts one target of CMU motion capture (run): position of each joint" in text
    assert "; without a model, no motion 53 cm, constant velocity 25 cm." in text
    results["variants"]["partial"]["errors"] = {"position": 0.3}
    assert "The `partial` variant is not below" in render(config, results)


def test_a_walk_has_figures_of_its_own_and_says_what_is_assumed(read):
    config, results = read
    text = render(walking(config), results)
    assert row(text, "EGNO + ACE, resilient") == ["published", "7.4 ± 0.2"]
    assert "assumed to be the sorted order" in text
    assert "Subject 35, walking" in text
    assert "35.asf and 35_*.amc](http://mocap.cs.cmu.edu/search.php?subjectnumber=35)" in text
    assert 'figure("walk", 2)' in text
    assert "assumed" not in render(config, results)
    assert "09.asf and 09_*.amc](http://mocap.cs.cmu.edu/search.php?subjectnumber=9)" in render(
        config, results
    )


def test_symmetry_is_stated_for_data_and_model(read):
    config, results = read
    text = render(config, results)
    for group in ("SO(3)", "SO(2) about the vertical"):
        assert re.search(rf"{re.escape(group)} [0-9.]+ ± [0-9.]+", text)
    assert "SO(3) and SO(2) about the vertical broken" in text
    assert "mirrors in vertical planes and horizontal translations, what the `equivariant` variant" in text
    assert "every other one is mirrored along its way" in text
    assert "all start frames of each" in text
    assert len(row(text, "`equivariant`", "float64")) == 6
    height = (
        "exactly equivariant under rotations about the vertical, mirrors in vertical planes and horizontal"
    )
    assert height in text
    free = render(replace(config, config={**config.config, "height": "none"}), results)
    assert "What the `equivariant` variant shows is round-off." in free
    assert "exactly equivariant under rotations, mirrors and translations" in free
    released = render(replace(config, config={**config.config, "height": "published"}), results)
    assert "depends on the other bodies" in released


def test_a_gap_within_the_errors_of_whole_trials_is_not_called_broken(read):
    config, results = read
    results["counts"]["train"] = 550
    for error, said in ((0.001, "not seen to be broken"), (0.0001, "broken")):
        gaps = {"SO(3)": (0.925, 0.0101), "horizontal translations": (0.004, error)}
        text = render(replace(config, domain=replace(config.domain, symmetry_gap=gaps)), results)
        assert "with each of the 5 trials counted once they are 10 times as large" in text
        assert re.search(rf"those: SO\(3\)(?: broken,)?(?: and)? horizontal translations {said}$", text, re.M)


def test_other_target_frames_have_no_published_figures(read):
    config, results = read
    text = render(replace(config, domain=replace(config.domain, horizon=20)), results)
    assert "CMU motion capture (run, frames 16 to 20)" in text
    assert "published figure" not in text
    assert "EGNO + ACE" not in text
    assert "Few independent samples" not in text


@pytest.mark.parametrize(("motion", "trials"), [("run", 3), ("walk", 6)])
def test_errors_by_recording_are_those_of_the_bundled_checkpoints(read, motion, trials):
    config, results = read
    text = render(config if motion == "run" else walking(config), results)
    few = f"windows that overlap, of {trials} recordings of one person"
    assert few in text.split("## Errors")[1].split("## Symmetry")[0]
    assert few in text.split("## Limitations")[1]
    for name, by_trial in card_mocap._BY_TRIAL[motion].items():
        measured = read_json(bundled().zoo / f"egno-mocap-{motion}-{name}" / "results.json")
        assert len(by_trial) == trials
        mean = 100 * measured["variants"]["equivariant"]["errors"]["position"]
        assert sum(by_trial) / trials == pytest.approx(mean, abs=0.006)
    said = {"run": "Strict less ACE is 6.2 ± 4.8", "walk": "Strict less ACE is -0.28 ± 0.21"}
    assert said[motion] in text


@pytest.mark.parametrize("motion", ["run", "walk"])
def test_errors_by_recording_are_measured_again_where_the_data_are(motion):
    if not (DATA / f"cmu_{motion}.npz").is_file():
        pytest.skip("needs the recordings")
    samples = load_mocap(DATA, motion=motion, split="test")
    batch = torch.arange(len(samples)).repeat_interleave(samples.pos.shape[1])
    for name, by_trial in card_mocap._BY_TRIAL[motion].items():
        model = from_pretrained(f"egno-mocap-{motion}-{name}").eval()
        with torch.no_grad():
            last = model(samples.pos.flatten(0, 1), samples.vel.flatten(0, 1), batch)[:, -1]
        square = (last - samples.target[:, -1].flatten(0, 1)).double().square()
        measured = 100 * square.unflatten(0, (len(by_trial), -1)).mean((1, 2))
        assert measured.tolist() == pytest.approx(list(by_trial), abs=0.006)


def test_the_readme_has_a_table_a_motion(read):
    config, results = read
    empty = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in MARKERS)
    other = (replace(walking(config), name="b"), {**results, "name": "b"})
    text = fill_readme(empty, [(config, results), other], read_published(PUBLISHED))
    assert "CMU motion capture, run:" in text
    assert "CMU motion capture, walk:" in text
    assert "23.8 ± 1.5" in text
    assert "7.4 ± 0.2" in text


def test_runs_of_the_published_protocol_stand_beside_their_motion(tmp_path):
    for motion in ("run", "walk"):
        report = {
            "name": "egno-mocap-paper-ace", "dataset": "mocap", "metric": "MSE", "method": "ace-equality",
            "seed": 1, "epochs": 300, "units": {"position": "length²"}, "data": {"motion": motion},
            "variants": {"equivariant": {"errors": {"position": 0.3}}},
        }  # fmt: skip
        (tmp_path / f"{motion}.json").write_text(json.dumps(report))
    text = protocol_table(tmp_path, read_published(PUBLISHED))
    assert row(text, "position, walk")[-4:-1] == ["7.9 ± 0.3", "7.5 ± 0.3", "3,000"]
    assert row(text, "position, run")[-4:-1] == ["35.3 ± 1.6", "32.6 ± 1.6", "3,000"]


@pytest.mark.filterwarnings("ignore::equizoo.pipelines.DomainWarning")  # a tiny model of made-up bodies
def test_the_code_on_the_card_runs(read, zoo, shipped, capsys):
    zoo.register(shipped)
    scopes = []
    for block in re.findall(r"```python\n(.*?)```", render(*read), re.DOTALL):
        scopes.append({})
        exec(block, scopes[-1])  # noqa: S102
    assert scopes[1]["y"].shape == (31, 5, 3)
    assert capsys.readouterr().out == "(5, 31, 3)\n"


def test_info_shows_the_motion(shipped, capsys):
    class Arguments:
        model, revision, local_files_only, json = str(shipped), None, True, False

    assert run_info(Arguments) == 0
    assert "run, 31 joints, frames 26 to 30 at 120 Hz" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"bones": [[1, 31]]}, "a bone is a pair of joints, 0 to 30"),
        ({"bones": [[1]]}, "a bone is a pair"),
        ({"frames": 31}, "1 <= frames <= horizon"),
        ({"speed": [0.5]}, "are two numbers"),
        ({"place": [[0.0, 1.0], [2.0]]}, "are two numbers"),
        ({"jont": []}, "did you mean 'joints'"),
    ],
)
def test_what_no_motion_is(read, changes, match):
    domain = json.loads(json.dumps(dict(read[0].domain)))
    card = parse_config(VALID | {"task": "motion-forecasting", "domain": domain})
    assert parse_config(json.loads(card.to_json())) == card
    with pytest.raises(errors.ConfigError, match=match):
        parse_domain("motion-forecasting", domain | changes, "domain")
