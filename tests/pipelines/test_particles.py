import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from equizoo.hub.domain import ParticleDomain
from equizoo.models.segnn_particles import ParticleSEGNN, ParticleSEGNNConfig
from equizoo.pipelines import pipeline
from equizoo.pipelines.particles import ParticleForecastingPipeline, velocity_after
from equizoo.pipelines.particles_figure import plot_forecasts
from equizoo.pipelines.particles_report import format_forecasts, write_forecasts
from equizoo.pipelines.particles_systems import BadSystems
from equizoo.symmetry import E3, Points, Vectors


class Card:
    def __init__(self, **domain) -> None:
        self.task = "particle-forecasting"
        self.domain = ParticleDomain(**{"particles": 5, "start_frame": 30, "end_frame": 40} | domain)


def build(relaxed: bool = False, **options) -> ParticleForecastingPipeline:
    torch.manual_seed(0)
    model = ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=2, relaxed=relaxed))
    model.card = Card()
    return pipeline("particle-forecasting", model, **options)


@pytest.fixture
def predict() -> ParticleForecastingPipeline:
    return build()


def systems(count: int = 3, particles: int = 5, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    pos, vel = rng.normal(size=(2, count, particles, 3))
    return pos, vel, rng.choice([-1.0, 1.0], size=(count, particles))


def test_arrays_tensors_and_lists_give_the_same(predict: ParticleForecastingPipeline) -> None:
    given = systems()
    expected = predict(*given)
    assert expected.shape == (3, 5, 3)
    assert expected.dtype == np.float64
    assert np.array_equal(predict(*map(torch.from_numpy, given)), expected)
    assert np.array_equal(predict(*(array.tolist() for array in given)), expected)
    assert np.array_equal(predict(given[0], given[1], given[2][..., None]), expected)
    lists = [[*map(torch.tensor, array.tolist())] for array in given]
    assert np.allclose(
        predict(*([one.requires_grad_() for one in array] for array in lists)), expected, atol=1e-5
    )
    half = [torch.from_numpy(array).bfloat16() for array in given]
    assert np.array_equal(predict(*half), predict(*(array.double() for array in half)))


def test_one_system_gives_one(predict: ParticleForecastingPipeline) -> None:
    pos, vel, charge = systems()
    alone = predict(pos[1], vel[1], charge[1])
    assert alone.shape == (5, 3)
    assert np.allclose(alone, predict(pos, vel, charge)[1], atol=1e-5)


def test_the_answer_does_not_depend_on_the_batch_size() -> None:
    given = systems(7)
    expected = build()(*given)
    for size in (1, 3):
        assert np.allclose(build(batch_size=size)(*given), expected, atol=1e-5)


def test_large_systems_take_bounded_memory(
    predict: ParticleForecastingPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equizoo.pipelines.particles._PAIRS", 50)
    sizes = []
    predict.model.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    predict(*systems(5))
    assert sizes == [10, 10, 5]


def test_it_moves_with_the_system_even_far_away(predict: ParticleForecastingPipeline) -> None:
    pos, vel, charge = map(torch.from_numpy, systems())
    element = E3(1e4).sample(generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = predict(Points().act(element, pos), Vectors().act(element, vel), charge)
    expected = Points().act(element, torch.from_numpy(predict(pos, vel, charge)))
    assert np.abs(moved - expected.numpy()).max() < 1e-4


def test_rollout(predict: ParticleForecastingPipeline) -> None:
    given = systems()
    path = predict.rollout(*given, steps=4)
    assert path.positions.shape == path.velocities.shape == (5, 3, 5, 3)
    assert path.energy.shape == path.energy_drift.shape == (5, 3)
    assert path.times.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(path.positions[0], given[0])
    assert np.array_equal(path.positions[1], predict(*given))
    for k in range(4):
        later = predict(path.positions[k], path.velocities[k], given[2])
        assert np.allclose(path.positions[k + 1], later, atol=1e-5)
        after = velocity_after(path.positions[k], path.velocities[k], later, 1.0)
        assert np.allclose(path.velocities[k + 1], after, atol=1e-5)
    assert np.abs(path.positions[2] - path.positions[1]).max() > 0.1
    assert not path.energy_drift[0].any()
    i, j = np.triu_indices(5, 1)
    for k in (0, 2):
        kinetic = 0.5 * (path.velocities[k] ** 2).sum((1, 2))
        distance = np.linalg.norm(path.positions[k][:, i] - path.positions[k][:, j], axis=-1)
        coulomb = (given[2][:, i] * given[2][:, j] / distance).sum(1)
        assert np.allclose(path.energy[k], kinetic + coulomb)
    assert np.array_equal(path.energy_drift[2], path.energy[2] - path.energy[0])
    assert np.abs(path.energy_drift[2]).min() > 1e-3
    assert "velocities in between" in path.caution
    with pytest.raises(ValueError, match="at least one step"):
        predict.rollout(*given, steps=0)


def test_velocities_are_exact_for_a_small_constant_acceleration() -> None:
    rng = np.random.default_rng(0)
    pos, vel = rng.normal(size=(2, 1, 5, 3))
    change = 0.1 * rng.normal(size=(1, 5, 3))
    after = pos + 2 * vel + 2 * change
    assert np.allclose(velocity_after(pos, vel, after, 2.0), vel + 2 * change)
    mean = vel + 100 * change
    far = velocity_after(pos, vel, pos + mean, 1.0)
    assert np.allclose(np.linalg.norm(far - mean, axis=-1), 0.3)


def test_partial_variants_and_unusual_systems_are_flagged(predict: ParticleForecastingPipeline) -> None:
    pos, vel, charge = systems(4)
    assert predict.caution is None
    assert "not exactly equivariant" in build(relaxed=True).forecast(pos, vel, charge).caution
    charge[0, 0], vel[1, 0], pos[2, 0] = 2.0, 50.0, 50.0
    answer = predict.forecast(pos, vel, charge)
    assert answer.in_domain == (False, False, False, True)
    for reason, part in zip(answer.domain_reason, ("charge other", "speed", "from the centre"), strict=False):
        assert part in reason
    assert "6 particles, and the model was trained on 5" in predict.forecast(*systems(1, 6)).domain_reason[0]


def test_errors_of_the_checkpoint_come_along() -> None:
    results = {
        "variants": {
            "equivariant": {"errors": {"position": 0.004}, "score": 0.004},
            "partial": {"errors": {}, "score": 0.004},
        }
    }
    assert build(results=results).test_mse == 0.004
    assert build(relaxed=True, results=results).test_mse is None


def wrong(name: str) -> tuple:
    pos, vel, charge = systems()
    if name == "coincident":
        pos[1, 3] = pos[1, 2]
    elif name in ("nan", "inf"):
        (pos if name == "nan" else vel)[2, 4, 1] = float(name)
    changed = {
        "charge": (pos, vel, charge[:, :4]),
        "velocity": (pos, vel[0], charge),
        "mixed": (pos, vel, charge[0]),
        "plane": (pos[..., :2], vel, charge),
        "flat": (pos.reshape(-1), vel, charge),
        "none": (pos, None, None),
        "alone": (pos[:, :1], vel[:, :1], charge[:, :1]),
        "empty": (pos[:0], vel[:0], charge[:0]),
        "many": systems(1, 501),
        "ragged": ([pos[0].tolist(), pos[1, :3].tolist()], vel, charge),
        "words": (pos, vel, [["+"] * 5] * 3),
        "complex": (pos * 1j, vel, charge),
        "file and more": ("a.npz", vel, charge),
    }
    return changed.get(name, (pos, vel, charge))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coincident", r"system 2: particles 3 and 4 are 0\.0e\+00 apart: they coincide"),
        ("nan", "system 3: the position of particle 5 is not finite"),
        ("inf", "system 3: the velocity of particle 5 is not finite"),
        ("charge", r"positions \(3, 5, 3\) need charges of shape \(3, 5\), got \(3, 4\)"),
        ("velocity", r"need velocities of shape \(3, 5, 3\), got \(5, 3\)"),
        ("mixed", r"need charges of shape \(3, 5\), got \(5,\)"),
        ("plane", r"positions must be \(B, N, 3\), or \(N, 3\)"),
        ("flat", r"positions must be \(B, N, 3\), or \(N, 3\)"),
        ("none", "velocities are missing"),
        ("alone", "at least two particles, got 1"),
        ("empty", "there are no systems"),
        ("many", "501 particles are more than the limit of 500"),
        ("ragged", "positions are not one array of numbers"),
        ("words", "charges are not one array of numbers"),
        ("complex", "positions are not one array of numbers"),
        ("file and more", "give the file alone"),
    ],
)
def test_what_is_not_answered_says_why(predict: ParticleForecastingPipeline, name: str, message: str) -> None:
    with pytest.raises(BadSystems, match=message):
        predict(*wrong(name))


def test_an_answer_that_is_not_finite_is_refused(predict: ParticleForecastingPipeline) -> None:
    next(predict.model.parameters()).data.fill_(math.nan)
    with pytest.raises(BadSystems, match="system 1: the model's answer is not a finite number"):
        predict(*systems())


def test_bad_options_and_models() -> None:
    with pytest.raises(TypeError, match="did you mean 'batch_size'"):
        build(batchsize=3)
    with pytest.raises(ValueError, match="batch_size >= 1"):
        build(batch_size=0)
    with pytest.raises(TypeError, match="loaded already"):
        build(variant="partial")
    with pytest.raises(ValueError, match="no card"):
        pipeline("particle-forecasting", ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=1)))
    model = ParticleSEGNN(ParticleSEGNNConfig(hidden=8, layers=1))
    model.card = Card()
    model.card.task = "motion-forecasting"
    with pytest.raises(ValueError, match="is one for motion-forecasting, not for particle-forecasting"):
        pipeline("particle-forecasting", model)


def test_table_csv_and_figure(predict: ParticleForecastingPipeline, tmp_path: Path) -> None:
    pos, vel, charge = systems(8)
    charge[1] = 3.0
    predict.test_mse = 0.0036
    forecasts = [("a.npz", predict.rollout(pos, vel, charge, steps=2))]
    text = format_forecasts(forecasts)
    for part in ("a.npz, system 2 †", "position at time 2", "0.060 length off", "drift", "charge other"):
        assert part in text
    write_forecasts(forecasts, tmp_path / "a.csv")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + 8 * 3 * 5
    plot_forecasts(forecasts, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.png"]
    assert forecasts[0][1].records()[1]["positions"][0] == pos[1].tolist()


def test_the_answer_to_a_file_names_particles_as_the_file_does(
    predict: ParticleForecastingPipeline, tmp_path: Path
) -> None:
    rows = [f"s,{label},{x},0,0,0,0,0,1" for label, x in ((30, 3), (7, 1), (12, 2))]
    (tmp_path / "a.csv").write_text("\n".join(["system,particle,x,y,z,vx,vy,vz,q", *rows]))
    forecasts = [("a.csv", predict.forecast(tmp_path / "a.csv"))]
    assert forecasts[0][1].records()[0]["particles"] == ["7", "12", "30"]
    assert [line.split()[0] for line in format_forecasts(forecasts).splitlines()[4:7]] == ["7", "12", "30"]
    write_forecasts(forecasts, tmp_path / "b.csv")
    with open(tmp_path / "b.csv", newline="") as file:
        start = [row for row in csv.DictReader(file) if row["time"] == "0.0"]
    assert {row["particle"]: float(row["x"]) for row in start} == {"7": 1, "12": 2, "30": 3}
