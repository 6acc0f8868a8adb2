"""The step of the charged-particle simulation in numpy, without numba: some five times slower."""

from __future__ import annotations

import numpy as np


def advance(
    pos: np.ndarray,
    vel: np.ndarray,
    charge: np.ndarray,
    dt: float,
    largest: float,
    uniform: np.ndarray,
    decay: np.ndarray,
    weight: np.ndarray,
    floor: float,
    every: int,
    pos_out: np.ndarray,
    vel_out: np.ndarray,
) -> None:
    """Move the systems; arguments and result are those of :func:`equizoo.data._nbody_kernel.advance`."""
    products = charge[:, None] * charge[None] * (1 - np.eye(len(charge)))[..., None]
    itself = np.eye(len(charge))[..., None]
    pull = uniform[:, None, None] * charge
    decay, weight = decay[:, None, None], weight[:, None, None]
    for frame in range(len(pos_out)):
        for _ in range(every):
            difference = pos[:, :, None] - pos[:, None]
            squared = np.einsum("kijs,kijs->ijs", difference, difference) + itself
            strength = products / (squared * np.sqrt(squared))
            acceleration = np.einsum("ijs,kijs->kis", strength, difference)
            np.clip(acceleration, -largest, largest, out=acceleration)
            vel *= decay
            vel += weight * (acceleration + pull)
            pos += dt * vel
            below = pos[2] < floor
            if below.any():
                pos[2] = np.where(below, 2 * floor - pos[2], pos[2])
                vel[2] = np.where(below, -vel[2], vel[2])
        pos_out[frame], vel_out[frame] = pos, vel
