"""The generator against the published data, and the worlds against physics."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from equizoo.data.nbody import (
    Trajectories,
    World,
    coulomb_acceleration,
    energy,
    integrate,
    mean_coulomb_acceleration,
    simulate,
)
from equizoo.data.nbody_simulation import random_starts

#: SHA-256 of the 14,000 × 5 charges of the released nbody_small, int8, in the order train, valid, test.
CHARGES = "ec7ffdf18657d214dcb4d19c372aaa1f8f301191c816f6a5e4201da7a4c39ffe"
#: Last frame of the released systems 1 and 119: positions of the first two particles, velocity of the first.
LAST_FRAMES = {
    1: (
        [-2.2923145887037273, -3.2677920469315738, -1.320977451911275],
        [-0.6677822181742946, 0.06305353531410551, 0.5332167288444586],
        [-0.019344716991531417, -0.6892464589693892, -0.06849873466914451],
    ),
    119: (
        [-1.5342575600198487, 0.655482581873582, -1.2314773064325102],
        [-1.805744173251958, -1.7350616521917226, 2.1041972562930935],
        [-0.28913952872047677, 1.196123808785914, -0.35958713374919626],
    ),
}
FIELD = World(field=1.5)
DRAG = World(drag=(0.2, 0.2, 1.0))
UNEVEN = World(drag=(0.1, 0.5, 1.5))
WALL = World(wall=-2.0)


def wide_start(particles=5, systems=8, spread=2.5):
    """Return starts without close encounters, where neither the cut-off nor chaos plays a part."""
    generator = torch.Generator().manual_seed(3)
    draw = {"generator": generator, "dtype": torch.float64}
    pos = spread * torch.randn(systems, particles, 3, **draw)
    pos[..., 2] = pos[..., 2].abs() - 1.9
    vel = 0.5 * torch.randn(systems, particles, 3, **draw)
    return pos, vel, torch.ones(systems, particles, dtype=torch.float64)


def synchronised_energy(pos, vel, charge, world):
    """Return the energy with velocities at the time of the positions: stored ones are half a step behind."""
    acceleration = coulomb_acceleration(pos, charge)
    acceleration[..., 2] += world.field * charge
    return energy(pos, vel + 0.5e-3 * acceleration, charge, world)


def about_z(angle):
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)


def flips(*signs):
    return torch.diag(torch.tensor(signs, dtype=torch.float64))


def reference() -> Path | None:
    places = [os.environ.get("EQUIZOO_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    paths = (Path(place) / "nbody_ref.npz" for place in places if place)
    return next((path for path in paths if path.is_file()), None)


def test_seed_43_gives_the_published_charges() -> None:
    charge = random_starts(World(), 14_000, 43)[2].to(torch.int8).numpy()
    assert hashlib.sha256(charge.tobytes()).hexdigest() == CHARGES


def test_seed_43_gives_the_published_trajectories() -> None:
    made = simulate(World(), 120, 43)
    assert made.pos.shape == made.vel.shape == (120, 49, 5, 3)
    assert made.pos.dtype == made.charge.dtype == torch.float64
    for system, (first, second, speed) in LAST_FRAMES.items():
        torch.testing.assert_close(made.pos[system, 48, :2].tolist(), [first, second], rtol=0, atol=1e-11)
        torch.testing.assert_close(made.vel[system, 48, 0].tolist(), speed, rtol=0, atol=1e-11)


@pytest.mark.skipif(reference() is None, reason="the released trajectories are not here")
def test_all_released_trajectories() -> None:
    with np.load(reference(), allow_pickle=False) as arrays:
        pos, vel = (torch.from_numpy(arrays[name].transpose(0, 1, 3, 2)) for name in ("loc", "vel"))
        charge = torch.from_numpy(arrays["charges"]).double()
    made = simulate(World(), len(pos), 43)
    assert torch.equal(made.charge, charge)
    error = (made.pos - pos).abs().amax((1, 2, 3))
    assert error.median() < 1e-12
    assert (error > 1e-6).sum() <= 3  # close encounters amplify round-off
    assert error.max() < 1e-3
    assert (made.vel - vel).abs().amax((1, 2, 3)).median() < 1e-12


def test_the_first_systems_do_not_depend_on_the_number() -> None:
    few, many = simulate(World(), 3, 7, length=400), simulate(World(), 21, 7, length=400)
    assert torch.equal(few.pos, many.pos[:3])
    assert torch.equal(few.vel, many.vel[:3])


@pytest.mark.parametrize(
    "world", [World(), World(particles=3), FIELD, UNEVEN, WALL, World(12, 1.0, wall=0.0)]
)
def test_numpy_and_compiled_steps_agree(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    compiled = simulate(world, 20, 5, length=1100)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else find(name))
    plain = simulate(world, 20, 5, length=1100)
    assert torch.equal(compiled.charge, plain.charge)
    torch.testing.assert_close(compiled.pos[:, 0], plain.pos[:, 0], rtol=0, atol=1e-10)
    error = (compiled.pos - plain.pos).abs().amax((1, 2, 3))
    assert (error < 1e-8).double().mean() >= 0.9  # the rest are close encounters


def test_a_frame_continues_its_trajectory() -> None:
    whole = simulate(FIELD, 4, 1, length=1500)
    pos, vel = integrate(whole.pos[:, 3], whole.vel[:, 3], whole.charge, FIELD, steps=1000, every=100)
    assert torch.equal(pos, whole.pos[:, 4:14])
    assert torch.equal(vel, whole.vel[:, 4:14])


def test_the_starts_of_more_particles_are_wider_and_inside_the_box() -> None:
    for particles in (3, 5, 50):
        pos, vel, charge = random_starts(World(particles=particles), 200, 0)
        assert pos.abs().max() <= 5
        assert pos.std() == pytest.approx((particles / 5) ** (1 / 3), rel=0.05)
        torch.testing.assert_close(vel.norm(dim=-1), torch.full_like(charge, 0.5))
        assert set(charge.unique().tolist()) == {-1.0, 1.0}


def test_momentum_and_energy_are_conserved_in_the_plain_world() -> None:
    start = wide_start()
    pos, vel = integrate(*start, World(), steps=5000, every=500)
    torch.testing.assert_close(
        vel.sum(2), start[1].sum(1, keepdim=True).expand(-1, 10, -1), rtol=0, atol=1e-11
    )
    before = synchronised_energy(*start, World())
    after = synchronised_energy(pos, vel, start[2].unsqueeze(1), World())
    assert (after / before.unsqueeze(1) - 1).abs().max() < 1e-5


def test_a_pair_in_circular_motion_returns() -> None:
    pos = torch.tensor([[[0.5, 0, 0], [-0.5, 0, 0]]], dtype=torch.float64)
    speed = math.sqrt(0.5)  # v²/r = 1/d² with r = 1/2, d = 1
    vel = torch.tensor([[[0, speed, 0], [0, -speed, 0]]], dtype=torch.float64)
    period = round(1000 * 2 * math.pi * 0.5 / speed)
    late, _ = integrate(pos, vel, torch.tensor([[1.0, -1.0]]), World(particles=2), period, period)
    torch.testing.assert_close(late[:, 0], pos, rtol=0, atol=5e-3)


def test_a_field_accelerates_the_total_momentum_by_the_total_charge() -> None:
    pos, vel, charge = wide_start()
    charge[:, :2] = -1
    world = World(field=0.4)
    _, later = integrate(pos, vel, charge, world, steps=2000, every=2000)
    gained = later[:, 0].sum(1) - vel.sum(1)
    expected = torch.stack([0 * charge.sum(1), 0 * charge.sum(1), 0.4 * 2.0 * charge.sum(1)], dim=1)
    torch.testing.assert_close(gained, expected, rtol=0, atol=1e-11)


def test_energy_is_conserved_under_a_field_and_above_a_floor() -> None:
    start = wide_start()
    for world in (FIELD, WALL, World(field=-0.5, wall=-2.0)):
        before = synchronised_energy(*start, world)
        pos, vel = integrate(*start, world, steps=3000, every=500)
        after = synchronised_energy(pos, vel, start[2].unsqueeze(1), world)
        assert (after - before.unsqueeze(1)).abs().max() < (1e-4 if world.wall is None else 5e-3)
        assert (energy(pos, vel, start[2].unsqueeze(1), world) - after).abs().max() < 2e-2


def test_drag_slows_free_particles_exactly() -> None:
    pos, vel, charge = wide_start()
    end, slow = integrate(pos, vel, 0 * charge, UNEVEN, steps=3000, every=3000)
    rates = torch.tensor(UNEVEN.drag, dtype=torch.float64)
    torch.testing.assert_close(slow[:, 0], vel * torch.exp(-3 * rates), rtol=1e-11, atol=0)
    way = vel * (1 - torch.exp(-3 * rates)) / rates
    torch.testing.assert_close(end[:, 0] - pos, way, rtol=2e-3, atol=0)


def test_drag_and_field_reach_the_terminal_velocity() -> None:
    pos, vel, _ = wide_start()
    world = World(field=1.0, drag=(0.0, 0.0, 50.0))
    far = pos * 1e4
    _, late = integrate(far, vel, torch.ones(8, 5), world, steps=2000, every=2000)
    torch.testing.assert_close(late[:, 0, :, 2], torch.full((8, 5), 1 / 50, dtype=torch.float64))


def test_free_particles_bounce_off_the_floor() -> None:
    pos, vel, charge = wide_start()
    end, speed = integrate(pos, vel, 0 * charge, WALL, steps=9000, every=9000)
    straight = pos + 9 * vel
    hit = straight[..., 2] < -2
    assert hit.any()
    height = torch.where(hit, -4 - straight[..., 2], straight[..., 2])
    torch.testing.assert_close(end[:, 0, :, 2], height)
    torch.testing.assert_close(end[:, 0, :, :2], straight[..., :2])
    torch.testing.assert_close(speed[:, 0, :, 2], torch.where(hit, -vel[..., 2], vel[..., 2]))


def test_nothing_is_below_the_floor() -> None:
    for wall in (-1.0, 0.0, 0.5):
        made = simulate(World(field=2.0, wall=wall), 64, 2)
        assert made.pos[..., 2].min() >= wall
        assert random_starts(World(wall=wall), 64, 2)[0][..., 2].min() >= wall


KEPT = [
    (World(), about_z(0.7) @ flips(1, -1, 1).roll(1, 0), [1.0, -2, 3]),
    (FIELD, about_z(0.7), [1.0, -2, 3]),
    (FIELD, flips(-1, 1, 1), [0.0, 0, 0]),
    (DRAG, about_z(0.7) @ flips(1, 1, -1), [1.0, -2, 3]),
    (UNEVEN, flips(-1, 1, -1), [1.0, -2, 3]),
    (WALL, about_z(0.7), [1.0, -2, 0]),
    (World(drag=(0.3, 0.3, 0.3)), about_z(0.7).roll(1, 0), [1.0, -2, 3]),
]
BROKEN = [
    (FIELD, about_z(0.7).roll(1, 0), [0.0, 0, 0]),
    (FIELD, flips(1, 1, -1), [0.0, 0, 0]),
    (DRAG, about_z(0.7).roll(1, 0), [0.0, 0, 0]),
    (UNEVEN, about_z(0.7), [0.0, 0, 0]),
    (WALL, flips(1, 1, 1), [0.0, 0, 3]),
]


def asymmetry(world, matrix, shift):
    """Return the largest distance between moved-then-transformed and transformed-then-moved particles."""
    pos, vel, charge = wide_start()
    shift = torch.tensor(shift, dtype=torch.float64)
    after, _ = integrate(pos, vel, charge, world, steps=4000, every=4000)
    before, _ = integrate(pos @ matrix.T + shift, vel @ matrix.T, charge, world, steps=4000, every=4000)
    return float((after @ matrix.T + shift - before).norm(dim=-1).max())


@pytest.mark.parametrize(("world", "matrix", "shift"), KEPT)
def test_symmetries_that_are_claimed(world: World, matrix: torch.Tensor, shift: list[float]) -> None:
    assert asymmetry(world, matrix, shift) < 1e-10


@pytest.mark.parametrize(("world", "matrix", "shift"), BROKEN)
def test_symmetries_that_are_broken(world: World, matrix: torch.Tensor, shift: list[float]) -> None:
    assert asymmetry(world, matrix, shift) > 0.05


def test_symmetries_in_words() -> None:
    assert World().symmetry == "E(3)"
    assert World(drag=(1, 1, 1)).symmetry == "E(3)"
    assert FIELD.symmetry == "O(2) about z, translations"
    assert WALL.symmetry == "O(2) about z, horizontal translations"
    assert DRAG.symmetry == "O(2) about z, reflection of z, translations"
    assert World(drag=(1, 0, 0)).symmetry == "O(2) about x, reflection of x, translations"
    assert UNEVEN.symmetry == "reflections of x, y and z, translations"
    assert World(field=1, drag=(1, 0, 0)).symmetry == "reflections of x and y, translations"
    assert World(field=1, drag=(0, 0, 1)).symmetry == "O(2) about z, translations"
    names = [world.name for world in (World(), FIELD, DRAG, World(field=1, wall=0))]
    assert names == ["charged", "field", "drag", "field+wall"]


def test_coulomb_acceleration_is_minus_the_gradient_of_the_energy() -> None:
    pos, vel, charge = wide_start()
    charge[:, 1] = -1
    pos.requires_grad_()
    (gradient,) = torch.autograd.grad(energy(pos, vel, charge).sum(), pos)
    torch.testing.assert_close(coulomb_acceleration(pos, charge), -gradient)
    with_field = energy(pos, vel, charge, FIELD)
    torch.testing.assert_close(energy(pos, vel, charge) - with_field, 1.5 * (charge * pos[..., 2]).sum(1))


def test_the_acceleration_is_cut_off_along_each_axis() -> None:
    close = torch.tensor([[0.0, 0, 0], [0.01, 0.005, 0.00001]])
    acceleration = coulomb_acceleration(close, torch.tensor([1.0, -1.0]))
    assert acceleration[0].tolist() == pytest.approx([100, 100, 1 / 0.01118034**3 * 1e-5], rel=1e-3)


def test_the_mean_acceleration_of_a_known_pair() -> None:
    pos = torch.tensor([[[[0.0, 0, 0], [2, 0, 0]], [[0.0, 0, 0], [0, 1, 0]]]])
    made = Trajectories(pos, torch.zeros_like(pos), torch.ones(1, 2))
    assert mean_coulomb_acceleration(made) == pytest.approx((0.25 + 1) / 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"particles": 1}, "at least 2"),
        ({"particles": 2.5}, "whole number"),
        ({"drag": (0, -1, 0)}, "three finite rates"),
        ({"drag": (0, 1)}, "three finite rates"),
        ({"field": math.nan}, "field=nan is not a finite number"),
        ({"wall": math.inf}, "None means no floor"),
    ],
)
def test_worlds_that_cannot_be(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        World(**change)


def test_starts_that_cannot_be() -> None:
    pos, vel, charge = wide_start()
    with pytest.raises(ValueError, match=r"a world of 4 particles needs pos and vel \(S, 4, 3\)"):
        integrate(pos, vel, charge, World(particles=4), 10, 10)
    with pytest.raises(ValueError, match="every=3 must divide steps=10"):
        integrate(pos, vel, charge, World(), 10, 3)
    with pytest.raises(ValueError, match="vel of system 2 is not finite"):
        integrate(pos, vel.index_fill(0, torch.tensor(2), math.nan), charge, World(), 10, 10)
    with pytest.raises(ValueError, match="starts below the floor"):
        integrate(pos, vel, charge, World(wall=0.0), 10, 10)
    with pytest.raises(ValueError, match="two particles of system 0 are at the same place"):
        integrate(pos * 0, vel, charge, World(), 10, 10)
    with pytest.raises(ValueError, match="at least one system"):
        simulate(World(), 0, 43)
    with pytest.raises(ValueError, match="must divide length=100 at least twice"):
        simulate(World(), 1, 43, length=100, every=100)
