"""The demo's endpoints for programs: plain values in, plain values out.

They are listed on the page under "Use via API"; ``gradio_client.Client(url).predict("CCO",
api_name="/properties")`` calls one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.demo import bodies, clouds, conformers, lab, limits, models, molecules, particles, symmetry
from equizoo.demo.answering import Declined, answered, whole_number


@answered
def list_models(task: str = "") -> list[dict[str, Any]]:
    """Return the models offered here with their test errors.

    Args:
        task: Only this task; all unless given.
    """
    tasks = [task] if task else TASKS
    return [
        {
            "name": name,
            "task": one,
            "method": models.info(name).config.method,
            "variants": models.variants(name),
            "metric": models.info(name).results.get("metric"),
            "units": models.info(name).results.get("units", {}),
            "errors": models.info(name).results.get("variants", {}).get("equivariant", {}).get("errors", {}),
        }
        for one in tasks
        for name in models.names(one)
    ]


@answered
def properties(smiles: str, model: str = "schnet-qm9-ace", seed: int = 0) -> dict[str, Any]:
    """Return the properties of a molecule, as :func:`equizoo.pipeline` answers them.

    Args:
        smiles: SMILES string, at most 200 characters and 60 atoms.
        model: Name of a model for molecule properties.
        seed: Seed of the geometry.
    """
    return molecules.properties(molecules.read(model, smiles, None, seed), model)


@answered
def classify(
    points: list[list[float]],
    model: str = "vn-dgcnn-modelnet40-ace",
    variant: str = "equivariant",
    top_k: int = 5,
) -> dict[str, Any]:
    """Return the most probable classes of a point cloud.

    Args:
        points: (N, 3) positions in any unit, at most 100,000.
        model: Name of a model for point clouds.
        variant: "equivariant" or "partial".
        top_k: Number of classes.
    """
    count = whole_number(top_k, 1, 40, "top_k")
    cloud = _numbers(points, "points", (None, 3))
    return clouds.classify(clouds.dropped(cloud, 0, 0), model, variant).record(count)


@answered
def forecast(
    positions: list[list[float]],
    velocities: list[list[float]],
    charges: list[float],
    model: str = "segnn-nbody-ace",
    variant: str = "equivariant",
    steps: int = 1,
) -> dict[str, Any]:
    """Return where charged particles will be after each step.

    Args:
        positions: (N, 3) [length].
        velocities: (N, 3) [length / time].
        charges: (N,) charges.
        model: Name of a model for particles.
        variant: "equivariant" or "partial".
        steps: Number of steps, 1 time unit each.
    """
    length = whole_number(steps, 1, limits.STEPS, "the number of steps")
    pos = _numbers(positions, "positions", (None, 3))
    vel, charge = (
        _numbers(velocities, "velocities", pos.shape),
        _numbers(charges, "charges", pos.shape[:1]),
    )
    low, high = limits.PARTICLES
    if not low <= len(pos) <= high:
        raise Declined(f"the number of particles must be from {low} to {high}, got {len(pos)}")
    pipe = models.predictor(particles.TASK, model, variant)
    return pipe.rollout(pos, vel, charge, steps=length).records()[0]


@answered
def forecast_motion(
    positions: list[list[list[float]]],
    model: str = "egno-mocap-run-ace",
    variant: str = "equivariant",
    steps: int = 1,
) -> dict[str, Any]:
    """Return where the joints of a body will be in every frame up to the horizon, and where each comes from.

    Args:
        positions: (F, 31, 3) frames at 120 a second [0.0564 m], y up; the last but one is the start.
        model: Name of a model for bodies in motion.
        variant: "equivariant" or "partial".
        steps: Number of steps, a quarter of a second each.
    """
    length = whole_number(steps, 1, limits.MOTION_STEPS, "the number of steps")
    pipe = models.predictor(bodies.TASK, model, variant)
    return pipe.forecast(_numbers(positions, "positions", (None, 31, 3)), steps=length).record()


@answered
def conformer_ensemble(
    smiles: str, model: str = "", count: int = 10, seed: int = 0, steps: int = 10
) -> dict[str, Any]:
    """Return conformers of a molecule, the lowest energy first.

    Args:
        smiles: SMILES string, at most 200 characters.
        model: Name of a model for conformers; the usual one unless given.
        count: Number asked for.
        seed: Seed of the samples.
        steps: Evaluations of the model a conformer.
    """
    name = model or models.names(conformers.TASK)[0]
    return conformers.make("", smiles, None, name, count, seed, steps)


@answered
def equivariance(
    kind: str = "molecule",
    choice: str = "CCO",
    model: str = "schnet-qm9-ace",
    variant: str = "equivariant",
    angles: list[float] = [0.0, 0.0, 90.0],  # noqa: B006
    shift: float = 0.0,
    mirror: str = "no",
    dtype: str = "float32",
) -> dict[str, Any]:
    """Return how far the answer to a moved input is from the moved answer.

    Args:
        kind: "molecule", "point cloud", "particles" or "body in motion".
        choice: A SMILES string, the name of a shape, the seed of a system of particles, or the part of its
            stride at which a body starts.
        model: Name of a model for it.
        variant: "equivariant" or "partial".
        angles: Rotations about x, y and z, from -180 to 180 [degrees].
        shift: Along x, from -5 to 5.
        mirror: "no", "x", "y" or "z".
        dtype: "float32" or "float64".
    """
    if dtype not in ("float32", "float64"):
        raise Declined("dtype must be float32 or float64")
    motion = lab.motion(_numbers(angles, "angles", (3,)).tolist(), shift, mirror)
    given = lab.subject(kind, model, choice)
    models.check(lab.SUBJECTS[kind], model, variant)
    found = symmetry.compare(model, variant, dtype, given.inputs, motion)
    return {
        "relative_error": found.relative,
        "round_off": lab.floor(kind, model, dtype, motion),
        "moved_answer": found.expected.tolist(),
        "answer_to_moved": found.after.tolist(),
    }


def _numbers(values: Any, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return an array of finite numbers of a shape.

    Raises:
        Declined: The values are something else.
    """
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise Declined(f"{name} must be numbers in lists of equal length") from None
    sizes = ", ".join("N" if n is None else str(n) for n in shape)
    wanted = f"({sizes},)" if len(shape) == 1 else f"({sizes})"
    fits = array.ndim == len(shape) and all(
        n is None or n == m for n, m in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise Declined(f"{name} must be finite numbers of shape {wanted}, got {array.shape}")
    return array


#: What the demo offers: a task, its endpoint and the endpoint's name.
_OFFERED = (
    (molecules.TASK, "properties", properties),
    (clouds.TASK, "classify", classify),
    (particles.TASK, "forecast", forecast),
    (bodies.TASK, "motion", forecast_motion),
    (conformers.TASK, "conformers", conformer_ensemble),
)
TASKS = tuple(task for task, _, _ in _OFFERED if models.names(task))
ENDPOINTS = {
    "models": list_models,
    **{name: function for task, name, function in _OFFERED if task in TASKS},
    "equivariance": equivariance,
}
