"""What the demo computes, without a page."""

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from equizoo.demo import clouds, limits, models, molecules, particles, shapes, snippets
from equizoo.demo.answering import Declined, upload, whole_number
from equizoo.demo.charts import bars, lines, scientific
from equizoo.demo.page import asked_inputs
from equizoo.demo.processes import Worker
from equizoo.demo.space import main as write_space
from equizoo.demo.viewer import packed
from equizoo.pipelines import pipeline

MODEL = "schnet-qm9-ace"


def test_a_molecule_has_the_properties_that_the_pipeline_gives_it():
    drawn = molecules.read(MODEL, "CCO", None)
    shown = molecules.properties(drawn, MODEL)
    direct = pipeline("molecule-properties", MODEL)("CCO")
    for name, quantity in direct["properties"].items():
        assert shown["properties"][name]["value"] == pytest.approx(quantity["value"])
        assert shown["properties"][name]["interval"] == pytest.approx(quantity["interval"])
    assert shown["geometry"] == "mmff" and shown["input"] == "CCO"
    assert sorted(order for *_, order in drawn.bonds) == [1] * 8


def test_a_drawn_molecule_is_no_mirror_image():
    pos = molecules.read(MODEL, "C[C@H](O)F", None).molecule.pos
    turned, centred = molecules.facing(pos), pos - pos.mean(0)
    rotation = np.linalg.lstsq(centred, turned, rcond=None)[0]
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.allclose(centred @ rotation, turned)


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("", "no molecule yet"),
        ("C1CC", "not a valid SMILES"),
        ("[Na]", "element Na is outside"),
        ("C" * 201, "201 characters"),
        ("C" * 70, "more than the limit of 60"),
        ("/etc/hosts.csv", "not a valid SMILES"),
        ("https://example.org/x.sdf", "not a valid SMILES"),
    ],
)
def test_a_molecule_that_is_not_answered_says_why(smiles, message):
    with pytest.raises(Declined, match=message):
        molecules.read(MODEL, smiles, None)


def test_files_of_molecules(tmp_path):
    water = "3\nwater\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"
    (tmp_path / "two.xyz").write_text(water * 2)
    drawn = molecules.read(MODEL, None, tmp_path / "two.xyz")
    assert (drawn.name, drawn.more, len(drawn.bonds), drawn.molecule.geometry) == ("water", 1, 2, "given")
    (tmp_path / "large.sdf").write_text("x" * (limits.MOLECULE_FILE + 1))
    for name, message in (("large.sdf", "the limit is 1 MB"), ("two.csv", "only .xyz, .sdf")):
        (tmp_path / "two.csv").touch()
        with pytest.raises(Declined, match=message):
            molecules.read(MODEL, None, tmp_path / name)


@pytest.mark.parametrize("name", shapes.SHAPES[:-1])
def test_the_shapes_are_recognised(name):
    answer = clouds.classify(clouds.read(name, None), "vn-dgcnn-modelnet40-ace")
    assert answer.top(1)[0]["label"] == name


def test_files_of_clouds(tmp_path, monkeypatch):
    worker = Worker("equizoo.demo.cloud_worker", "point cloud")
    monkeypatch.setattr(clouds, "_WORKERS", worker)
    for name, points in (("cloud", 300), ("many", limits.CLOUD_POINTS + 1)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(points, 3)))
    cloud = clouds.read(None, tmp_path / "cloud.npy", 0.5, seed=1)
    assert np.array_equal(cloud, clouds.dropped(np.load(tmp_path / "cloud.npy"), 0.5, seed=1))
    with pytest.raises(Declined, match="100,001 points are more than the limit of 100,000"):
        clouds.read(None, tmp_path / "many.npy")
    (tmp_path / "slow.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n" * 30_000 + "f 1 2 3\n" * 30_000)
    worker.seconds = 0.001
    with pytest.raises(Declined, match=r"the point cloud took more than 0\.001 s; try a smaller one"):
        clouds.read(None, tmp_path / "slow.obj")


@pytest.mark.parametrize("drop", [-0.1, 0.96, "half", None, float("nan")])
def test_the_share_of_dropped_points_is_checked(drop):
    with pytest.raises(Declined, match=r"from 0 to 0\.95"):
        clouds.read("chair", None, drop)


def test_the_forecast_is_compared_with_the_simulation_that_goes_on():
    model = "segnn-nbody-ace"
    short, long = (particles.motion(model, 5, steps, seed=3) for steps in (1, 3))
    assert np.array_equal(short.pos, long.pos[:11])
    path = particles.forecast(long, model, "equivariant", 3)
    assert particles.squared_errors(long, path)[0] < 0.1
    scene = particles.scene(long, path)
    assert np.shape(scene["frames"]) == (31, 10, 3) and len(scene["times"]) == 31
    with pytest.raises(Declined, match="number of particles must be from 2 to 12"):
        particles.motion(model, 13, 1, seed=3)


def test_only_bundled_models_are_offered(tmp_path):
    for name in (str(tmp_path), "org/name", "../schnet-qm9-ace", "segnn-nbody-ace"):
        with pytest.raises(Declined, match="no model"):
            models.predictor(molecules.TASK, name)
    with pytest.raises(Declined, match="no variant 'partial', only equivariant"):
        models.predictor(molecules.TASK, MODEL, "partial")


def test_key_figures_are_those_of_the_results():
    error = models.info(MODEL).results["variants"]["equivariant"]["errors"]["gap"]
    assert f"gap {error:.3g} eV" in models.key_figures(MODEL)


def test_names_from_outside_are_escaped():
    hostile = "<img src=x onerror=alert(1)>"
    assert "<img" not in bars([(hostile, 1.0, hostile)], title=hostile)
    assert "<img" not in lines([0, 1], {hostile: [1, 2]}, x_label=hostile, y_label=hostile)
    assert scientific(-3.14e-7) == "−3.1 · 10<sup>−7</sup>"


def test_numbers_and_uploads_are_checked(tmp_path):
    assert whole_number("4", 1, 8, "steps") == 4
    for bad in (None, "four", 9, float("inf"), float("nan")):
        with pytest.raises(Declined, match="steps must be"):
            whole_number(bad, 1, 8, "steps")
    with pytest.raises(Declined, match=r"'\.pkl' are not read here"):
        upload(tmp_path / "weights.pkl", clouds.FILES, 10)
    with pytest.raises(ValueError, match="JSON"):
        packed({"radius": float("nan")})


def test_copied_code_gives_the_result(capsys):
    code = [
        snippets.molecule("CCO", None, MODEL, 0),
        snippets.cloud("vase", None, 0.5, "vn-dgcnn-modelnet40-ace", "equivariant", 1),
        snippets.particles("segnn-nbody-cr", "partial", 5, 2, 3),
        snippets.symmetry("particles", "3", "segnn-nbody-cr", "partial", "float64", (0, 0, 40), 0, "no", 2),
    ]
    for text in code:
        exec(compile(text, "copied", "exec"), {"__name__": "copied"})  # noqa: S102
    printed = capsys.readouterr().out
    assert "gap" in printed and "vase" in printed
    drawn = molecules.read(MODEL, "CCO", None)
    assert str(molecules.properties(drawn, MODEL)["properties"]["mu"]["value"])[:6] in printed


def test_a_space_is_written(tmp_path):
    write_space([str(tmp_path / "space"), "--requirement", "equizoo[app]"])
    front = (tmp_path / "space" / "README.md").read_text().split("---")[1]
    assert "sdk: gradio" in front and "app_file: app.py" in front
    assert "equizoo[app]" in (tmp_path / "space" / "requirements.txt").read_text()
    compile((tmp_path / "space" / "app.py").read_text(), "app.py", "exec")


def test_links_say_what_is_shown():
    def asked(**query):
        return asked_inputs(SimpleNamespace(query_params=query))

    assert asked(smiles="CCO", shape="chair", seed="7") == ("CCO", "ethanol", "chair", 7)
    assert asked(smiles="FC=C=CF")[:2] == ("FC=C=CF", None)  # no example is lit
    nothing = gr.skip()
    assert asked(shape="no such", seed="-1") == (nothing, nothing, nothing, nothing)
