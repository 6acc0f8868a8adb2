"""Reports of runs that take a second."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from equizoo.relaxation.layer import projected, relaxations
from equizoo.training.config import ConfigError, RunConfig, load_recipe
from equizoo.training.evaluate import evaluate
from equizoo.training.loop import train
from equizoo.training.plots import logarithmic
from equizoo.training.report import write_report
from equizoo.training.report_html import paragraph, table
from equizoo.training.report_measure import Layer, Measured, measure
from equizoo.training.runfolder import RunFolder
from equizoo.training.variants import load_trained

Make = Callable[..., RunConfig]


def pictures(page: str) -> list[bytes]:
    return [base64.b64decode(data) for data in re.findall(r'src="data:image/png;base64,([^"]+)"', page)]


def error_of(page: str, transformation: str) -> float:
    return float(re.search(rf"<td>{transformation}</td><td>(.*?)</td>", page).group(1))


@pytest.fixture(scope="module")
def particle_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.training.conftest import TINY_PARTICLES, _maker

    folder = tmp_path_factory.mktemp("run")
    train(_maker("segnn-nbody-ace", TINY_PARTICLES)(), folder, progress=False)
    return folder


def test_a_relaxed_run_has_every_section(particle_run: Path) -> None:
    evaluate(particle_run, out=particle_run / "results.json")
    path = write_report(particle_run, samples=16)
    page = path.read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "Best scores on validation data",
        "Test results",
        "Losses",
        "γ and λ of every layer",
        "Projected and partial",
        "Equivariance error and its bound",
        "Symmetry by layer",
    ]
    assert "without a model: no motion" in page
    assert "layers.0.update_2" in page
    files = {file.name for file in path.parent.iterdir()}
    names = ("losses", "steering", "projection", "equivariance", "layers")
    assert files == {"report.html", *(f"{name}.png" for name in names)}
    assert len(found := pictures(page)) == len(names)
    assert all(data.startswith(b"\x89PNG") for data in found)
    assert "<script" not in page
    assert "http" not in page


def test_a_strict_run_says_why_sections_are_missing(tiny: Make, tmp_path: Path) -> None:
    train(tiny("schnet-qm9-strict"), tmp_path / "run", progress=False)
    page = write_report(tmp_path / "run", tmp_path / "out").read_text(encoding="utf-8")
    assert "no relaxed layers" in page
    assert "exactly equivariant" not in page
    for name in ("rotation", "reflection", "translation"):
        assert 0 <= error_of(page, name) < 1e-10
    assert "Not measured yet" in page
    assert "mae/gap" in page
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["losses.png", "report.html"]


def test_molecules_and_slacks(tiny: Make, tmp_path: Path) -> None:
    config = tiny(method={"name": "ace-resilient", "dual_lr": 1e-3})
    train(config, tmp_path, progress=False)
    page = write_report(tmp_path, samples=16).read_text(encoding="utf-8")
    assert "γ and λ and u" not in page
    assert "γ, λ and u of every layer" in page
    assert "evaluation.equivariance switches that on" in page
    assert "interactions.1" in page


def test_without_the_data_the_page_says_so(particle_run: Path, tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    for name in ("config.yaml", "metrics.csv"):
        (tmp_path / name).write_bytes((particle_run / name).read_bytes())
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "The bounds could not be measured: the run has no partial weights yet." in page
    (tmp_path / "best" / "partial.safetensors").write_bytes(b"\0" * 20)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "The bounds could not be measured: " in page


def test_folders_that_are_no_runs(tmp_path: Path, tiny: Make) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        write_report(tmp_path)
    RunFolder(tmp_path).write_config(tiny())
    with pytest.raises(ConfigError, match="no evaluation yet"):
        write_report(tmp_path)


def test_what_is_measured(particle_run: Path) -> None:
    trained = load_trained(particle_run)
    model = trained.models["partial"]
    found = measure(model, trained.task, 16)
    terms = relaxations(model)
    assert [layer.name for layer in found.layers] == list(terms)
    gammas = {name: term.gamma.item() for name, term in terms.items()}
    assert found.error <= found.layer_bound(gammas) <= found.bound(gammas) * (1 + 1e-6)
    assert found.bound(dict.fromkeys(gammas, 0.0)) == 0
    assert found.samples == 16
    with pytest.raises(ValueError, match="no relaxed layer"):
        measure(trained.models["equivariant"], trained.task, 16)


def test_gains_are_singular_values(particle_run: Path) -> None:
    from equizoo.training import report_measure
    from equizoo.training.equivariance import sample_inputs

    trained = load_trained(particle_run)
    model = trained.models["partial"].double()
    inputs = {
        k: x.double() if x.is_floating_point() else x
        for k, x in sample_inputs(trained.task, "valid", 1).items()
    }
    name, term = list(relaxations(model).items())[-1]
    after = report_measure._record(model, {name: term}, inputs)[0][name][2]

    def run(shift: torch.Tensor) -> torch.Tensor:
        with report_measure._shifted(term, shift), projected(model):
            return model(**inputs)

    jacobian = torch.autograd.functional.jacobian(run, torch.zeros_like(after))
    expected = torch.linalg.matrix_norm(jacobian.reshape(-1, after.numel()), 2)
    gain = report_measure._gain(model, term, inputs, torch.Generator().manual_seed(0))
    assert 0.9 * expected < gain < 1.0001 * expected


def test_constants_cover_what_was_measured() -> None:
    layers = tuple(
        Layer(f"{k}", 0.1, 1.0, norm, gain, None, None)
        for k, (norm, gain) in enumerate([(1, 8), (3, 4), (4, 2)])
    )
    found = Measured(layers, 1, 0.0, 1.0)
    assert found.lipschitz == pytest.approx(3.0)
    for k, layer in enumerate(layers):
        assert found.lipschitz ** (2 - k) * layers[-1].gain >= layer.gain
        assert found.lipschitz**k * found.norm >= layer.norm


def test_text_is_escaped() -> None:
    assert paragraph("<b> & c") == "<p>&lt;b&gt; &amp; c</p>"
    assert "<td>a&lt;1</td>" in table(["x"], [["a<1"]])


@pytest.mark.parametrize("family", ["motion", "clouds"])
def test_other_families_have_their_layers(family: str, tmp_path: Path) -> None:
    from tests.training import test_mocap, test_modelnet40

    recipe, small = {
        "motion": ("egno-mocap-run-ace", {**test_mocap.TINY, "model.layers": 2}),
        "clouds": ("vn-dgcnn-modelnet40-ace-128", test_modelnet40.TINY_CLOUDS),
    }[family]
    train(load_recipe(recipe).replace(**small), tmp_path, progress=False)
    page = write_report(tmp_path, samples=12).read_text(encoding="utf-8")
    assert "Symmetry by layer" in page
    assert {"motion": "layers.1.positions", "clouds": "frame_1.direction"}[family] in page


def test_a_strict_run_that_is_not_centred_tells_of_its_translations(tmp_path: Path) -> None:
    from tests.training.conftest import TINY_PARTICLES, _maker

    train(_maker("segnn-nbody-paper-strict", TINY_PARTICLES)(), tmp_path, progress=False)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert error_of(page, "rotation") < 1e-10
    assert error_of(page, "translation") > 1e-3


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_captions_say_which_weights(ema: float, tiny: Make, tiny_particles: Make, tmp_path: Path) -> None:
    train(tiny_particles(evaluation__ema=ema, budget__epochs=1), tmp_path / "relaxed", progress=False)
    page = write_report(tmp_path / "relaxed", samples=12).read_text(encoding="utf-8")
    said = (
        "is evaluated with averaged weights",
        "the live one of the epoch",
        "not the live one of the curves",
    )
    for words in (*said, "(live)", "|γ| is the live one"):
        assert (words in page) == (ema > 0), words
    assert ("γ is that of the epoch" in page) == (ema == 0)
    train(tiny("schnet-qm9-strict", evaluation__ema=ema, budget__epochs=1), tmp_path / "s", progress=False)
    page = write_report(tmp_path / "s").read_text(encoding="utf-8")
    assert ("averaged weights" in page) == (ema > 0)


def test_a_second_part_says_what_it_begins_with(tiny: Make, tmp_path: Path) -> None:
    train(tiny(budget__epochs=1), tmp_path / "first", progress=False)
    page = write_report(tmp_path / "first", samples=12).read_text(encoding="utf-8")
    assert "begins with" not in page
    train(tiny(budget__epochs=1, start_from=str(tmp_path / "first")), tmp_path / "second", progress=False)
    page = write_report(tmp_path / "second", samples=12).read_text(encoding="utf-8")
    assert "<dt>begins with</dt><dd>the equivariant weights of first</dd>" in page


def test_scores_of_zero_and_rows_without_one(particle_run: Path, tmp_path: Path) -> None:
    rows = RunFolder(particle_run).read_metrics()
    rows[0]["valid/partial/score"] = 0.0
    for key in [key for key in rows[-1] if key.startswith(("valid/partial/", "gamma/"))]:
        del rows[-1][key]
    folder = RunFolder(tmp_path)
    folder.write_config(RunFolder(particle_run).read_config())
    folder.write_metrics(rows)
    weights = RunFolder(particle_run).best("partial")
    (tmp_path / "best").mkdir()
    folder.best("partial").write_bytes(weights.read_bytes())
    page = write_report(tmp_path, samples=12).read_text(encoding="utf-8")
    assert "Projected and partial" in page
    assert "<th>partial</th>" in page


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.8, 0.8], "linear"),
        ([0.80012, 0.80015], "linear"),
        ([0.81, 0.88], "linear"),
        ([0.8, 0.95], "log"),
        ([1.0, 2.9], "log"),
        ([1e-3, 9e-2], "log"),
        ([1e-8, 1.0], "log"),
    ],
)
def test_ticks_are_few_and_differ(values: list[float], scale: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.5, 2))
    axes = figure.subplots()
    axes.scatter(values, range(len(values)))
    logarithmic(axes.xaxis)
    FigureCanvasAgg(figure).draw()
    low, high = axes.get_xlim()
    shown = [t.label1.get_text() for t in axes.xaxis.get_major_ticks() if low <= t.get_loc() <= high]
    assert axes.get_xscale() == scale
    assert 2 <= len(shown) <= 6
    assert len(set(shown)) == len(shown)
