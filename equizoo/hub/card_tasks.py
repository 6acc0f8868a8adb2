"""What model cards say about tasks: what for, what not for, and how a model is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from equizoo.hub.config import CheckpointConfig


@dataclass(frozen=True)
class Task:
    """How a task is used.

    Attributes:
        purpose: What it is for.
        not_for: What it is not for.
        pipeline: Lines of Python that call the pipeline ``predict``.
        model: Lines of Python that call ``model``.
        inputs: Arguments of the model.
        output: What the model returns.
        trained_on: What a model of this domain was trained on, and what the pipeline does beyond it.
        beyond: Where the errors of a model of this domain were not measured.
        partial: What a user of the ``partial`` variant has to know.
        made_geometries: Whether inputs may come without a geometry, so that errors and intervals depend on
            the way it is made.
        predicts: What it predicts, in words, if the targets of ``config.json`` are not that.
    """

    purpose: str
    not_for: str
    pipeline: str
    model: str
    inputs: tuple[str, ...]
    output: Callable[[CheckpointConfig], str]
    trained_on: Callable[[Any], str]
    beyond: Callable[[Any], str]
    partial: str
    made_geometries: bool = False
    predicts: str = ""


def _columns(config: CheckpointConfig) -> str:
    lines = [f"- {i}: `{t.name}` [{t.unit}], {t.description}" for i, t in enumerate(config.targets)]
    return f"`(B, {len(config.targets)})`, in this order:\n\n" + "\n".join(lines)


def _velocities(config: CheckpointConfig) -> str:
    return (
        "`(N, 3)`, velocities of the atoms [Å per unit of time]; "
        "`equizoo.models.flow_matching.follow` follows them from time 0 to 1"
    )


def _vector(config: CheckpointConfig) -> str:
    (target,) = config.targets
    return f"`(N, 3)`, `{target.name}` [{target.unit}]: {target.description}"


def _frames(config: CheckpointConfig) -> str:
    (target,), domain = config.targets, config.domain
    first = domain.horizon - domain.frames + 1
    return (
        f"`(N, {domain.frames}, 3)`, `{target.name}` [{target.unit}] at frames {first} to "
        f"{domain.horizon} after the "
        "input"
    )


def _bodies(domain: Any) -> str:
    angle = domain.heading_spread
    way = f"within {angle:.0f}° of one direction" if angle < 180 else "in any direction"
    return (
        f"one person who {domain.motion}s {way}, {len(domain.joints)} joints at {domain.frame_rate} Hz; "
        f"the pipeline "
        "answers other bodies and speeds and flags them"
    )


def _other_bodies(domain: Any) -> str:
    return (
        f"Its errors were not measured on other bodies, nor when they do not {domain.motion}, nor over "
        f"other times."
    )


def _molecules(domain: Any) -> str:
    return (
        f"molecules of {', '.join(domain.elements)} with up to {domain.max_heavy_atoms} heavy atoms; the "
        "pipeline refuses other elements and flags larger molecules"
    )


def _other_molecules(domain: Any) -> str:
    return (
        f"Its errors were not measured outside {', '.join(domain.elements)} and up to "
        f"{domain.max_heavy_atoms} heavy atoms."
    )


def _systems(domain: Any) -> str:
    return (
        f"systems of {domain.particles} particles; the pipeline answers other numbers of particles and "
        "flags them"
    )


def _other_systems(domain: Any) -> str:
    return (
        f"Its errors were not measured on systems of other than {domain.particles} particles, nor over other "
        "times."
    )


def _classes(config: CheckpointConfig) -> str:
    classes = config.domain.classes
    return f"`(B, {len(classes)})`, logits of the classes, in this order: {', '.join(classes)}"


def _clouds(domain: Any) -> str:
    return (
        f"clouds of {domain.points} points of {len(domain.classes)} kinds of objects; the pipeline reduces "
        "larger clouds to so many points and flags smaller ones"
    )


def _other_clouds(domain: Any) -> str:
    return f"Its accuracy was not measured on objects of other than the {len(domain.classes)} kinds."


TASKS = {
    "molecule-properties": Task(
        purpose="Fast estimates of quantum-chemical properties of small organic molecules: screening, "
        "ranking, teaching, and as a starting point for networks that are relaxed in the same way.",
        not_for="Forces, reaction paths, ions, radicals, crystals, solvents, or any decision on the safety "
        "of a substance. The numbers are estimates of a density functional's answer, not of an experiment.",
        pipeline='print(predict("CCO")["properties"])',
        model="y = model(torch.tensor([8, 1, 1]), torch.tensor([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, "
        "0.93, 0.0]]))",
        inputs=(
            "`z`: `(N,)` int64, atomic numbers of all atoms of B molecules",
            "`pos`: `(N, 3)` floating point, positions [Å]",
            "`batch`: `(N,)` int64, sorted, the molecule of each atom; may be left out for one molecule",
        ),
        output=_columns,
        trained_on=_molecules,
        beyond=_other_molecules,
        partial="the answer changes somewhat when a molecule is turned. Trust it for geometries like those "
        "of the data set, and the `equivariant` variant for any other.",
        made_geometries=True,
    ),
    "conformers": Task(
        purpose="Conformers of small organic molecules for docking, 3-D descriptors and as starting points "
        "for better methods, and a starting point for flows that are relaxed in the same way.",
        not_for="Energies, barriers, reaction paths, metals, radicals, macrocycles, or molecules in a "
        "solvent or a protein.",
        pipeline='print(predict("C[C@H](O)CCF", n=5).mol.GetNumConformers())',
        model="from equizoo.models.molecule_batch import MoleculeBatch\n"
        "water = MoleculeBatch.single([8, 1, 1], [(0, 1), (0, 2)])\n"
        "velocity = model(torch.randn(3, 3), torch.zeros(1), *water)",
        inputs=(
            "`pos`: `(N, 3)` floating point, positions of all atoms of B molecules [Å]",
            "`t`: `(B,)` floating point, time between the start (0) and the conformer (1)",
            "`z`, `attributes`, `batch`, `receivers`, `senders`, `kinds`, `centres`: the molecules, as "
            "`equizoo.models.molecule_batch.MoleculeBatch.of` makes them",
        ),
        output=_velocities,
        trained_on=_molecules,
        beyond=_other_molecules,
        partial="a molecule that starts in another orientation is another input to it. Use the `equivariant` "
        "variant where that matters.",
        predicts="how the atoms of a rough geometry move to a conformer",
    ),
    "particle-forecasting": Task(
        purpose="Studying equivariance: a small benchmark with a known symmetry, on which methods and layers "
        "are compared, and a starting point for forecasts of other particle systems.",
        not_for="Simulation. The model takes one large step and predicts positions alone; it conserves no "
        "energy, and errors add up when its answers are fed back to it.",
        pipeline="positions, velocities = torch.randn(5, 3), 0.3 * torch.randn(5, 3)\n"
        "print(predict(positions, velocities, [1, -1, 1, -1, 1]))",
        model="pos, vel, charge = torch.randn(5, 3), 0.3 * torch.randn(5, 3), torch.tensor([1.0, -1, 1, -1, "
        "1])\ny = model(pos, vel, charge)",
        inputs=(
            "`pos`: `(N, 3)` floating point, positions of all particles of B systems [length]",
            "`vel`: `(N, 3)` floating point, velocities [length/time]",
            "`charge`: `(N,)` floating point, charges",
            "`batch`: `(N,)` int64, sorted, the system of each particle; may be left out for one system",
        ),
        output=_vector,
        trained_on=_systems,
        beyond=_other_systems,
        partial="a system that is turned or mirrored is another input to it. Trust it for systems that are "
        "oriented as those of the training set; trust ends outside their distribution.",
    ),
    "motion-forecasting": Task(
        purpose="Studying partial symmetry: bodies whose motion is not the same in all directions, on "
        "which methods and "
        "layers are compared; and short forecasts of a skeleton that is recorded in the same way.",
        not_for="Safety, medicine, or any decision about a person. The model knows one gait of one "
        "person, and "
        "errors add up when its answers are fed back to it.",
        pipeline="positions, velocities = torch.rand(31, 3) * 28, torch.tensor([0.0, 0.0, "
        "0.5]).repeat(31, 1)\n"
        "print(predict(positions, velocities).shape)",
        model="pos, vel = torch.rand(31, 3) * 28, torch.tensor([0.0, 0.0, 0.5]).repeat(31, 1)\ny = "
        "model(pos, vel)",
        inputs=(
            "`pos`: `(N, 3)` floating point, positions of the joints of B bodies, one body after the "
            "other, in the "
            "order of `config.json` [length, ASF units; y up]",
            "`vel`: `(N, 3)` floating point, change of the positions up to the next frame [length/frame]",
            "`batch`: `(N,)` int64, sorted, the body of each joint; may be left out for one body",
        ),
        output=_frames,
        trained_on=_bodies,
        beyond=_other_bodies,
        partial="it has learned the way that the bodies of its training set move. Trust it for bodies "
        "that move the "
        "same way (the pipeline flags others), and the `equivariant` variant for any other.",
    ),
    "point-cloud-classification": Task(
        purpose="Naming the kind of a single object from points of its surface, whichever way it is turned, "
        "and a starting point for other networks on point clouds.",
        not_for="Scenes of several objects, scans of one side, machines that act on the answer, or any "
        "decision about safety. It always names one of its classes.",
        pipeline="print(predict(torch.randn(1000, 3), top_k=2))",
        model="logits = model(torch.nn.functional.normalize(torch.randn(2, 300, 3), dim=2))",
        inputs=(
            "`points`: `(B, N, 3)` floating point, B clouds of N points, each in the unit sphere",
            "`batch`: `(R,)` int64, sorted, the cloud of each point, with `points` `(R, 3)`; for clouds of "
            "different sizes",
        ),
        output=_classes,
        trained_on=_clouds,
        beyond=_other_clouds,
        partial="a cloud that is turned is another input to it, and its answer may change. Use the "
        "`equivariant` variant where that matters.",
        predicts="the class of objects",
    ),
}
