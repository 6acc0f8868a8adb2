"""What model cards say about tasks: what a model is for, what not for, and where its answers end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """What is said about a task.

    Attributes:
        purpose: What it is for.
        not_for: What it is not for.
        trained_on: What a model of this domain was trained on, and what the pipeline does beyond it.
        beyond: Where the errors of a model of this domain were not measured.
        partial: What a user of the ``partial`` variant has to know, unless the data set says more.
        made_geometries: Whether inputs may come without a geometry, so that errors and intervals depend on
            the way it is made.
        predicts: What it predicts, in words, if the targets of ``config.json`` are not that; ``{title}``
            stands for the data set.
    """

    purpose: str
    not_for: str
    trained_on: Callable[[Any], str]
    beyond: Callable[[Any], str]
    partial: str
    made_geometries: bool = False
    predicts: str = ""


def _bodies(domain: Any) -> str:
    angle = domain.heading_spread
    way = f"within {angle:.0f}° of one direction" if angle < 180 else "in any direction"
    return (
        f"one person who {domain.motion}s {way}, {len(domain.joints)} joints at {domain.frame_rate} Hz; "
        "the pipeline answers other bodies and speeds and warns of them"
    )


def _other_bodies(domain: Any) -> str:
    return (
        f"Its errors were not measured on other bodies, nor when they do not {domain.motion}, nor over "
        "other times."
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


def _unlike_molecules(domain: Any) -> str:
    return (
        f"Its training set has no molecules of elements other than {', '.join(domain.elements)}, of more "
        f"than {domain.max_heavy_atoms} heavy atoms or with formal charges; its errors on such molecules are "
        "larger, and were measured on those of the tables above alone."
    )


def _systems(domain: Any) -> str:
    return (
        f"systems of {domain.particles} particles; the pipeline answers other numbers of particles and "
        "warns of them"
    )


def _other_systems(domain: Any) -> str:
    return (
        f"Its errors were not measured on systems of other than {domain.particles} particles, nor over other "
        "times."
    )


def _clouds(domain: Any) -> str:
    return (
        f"clouds of {domain.points} points of {len(domain.classes)} kinds of objects; the pipeline reduces "
        "larger clouds to so many points and warns of smaller ones"
    )


def _other_clouds(domain: Any) -> str:
    return f"Its accuracy was not measured on objects of other than the {len(domain.classes)} kinds."


TASKS = {
    "molecule-properties": Task(
        purpose="Fast estimates of quantum-chemical properties of small organic molecules: screening, "
        "ranking, teaching, and as a starting point for networks that are relaxed in the same way.",
        not_for="Forces, reaction paths, ions, radicals, crystals, solvents, or any decision on the safety "
        "of a substance. The numbers are estimates of a density functional's answer, not of an experiment.",
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
        trained_on=_molecules,
        beyond=_unlike_molecules,
        partial="a molecule that starts in another orientation is another input to it. Use the `equivariant` "
        "variant where that matters.",
        predicts="how the atoms of a rough geometry move to a low-energy conformer; its data are {title}",
    ),
    "particle-forecasting": Task(
        purpose="Studying equivariance: a small benchmark with a known symmetry, on which methods and layers "
        "are compared, and a starting point for forecasts of other particle systems.",
        not_for="Simulation. The model takes one large step and predicts positions alone; it conserves no "
        "energy, and errors add up when its answers are fed back to it.",
        trained_on=_systems,
        beyond=_other_systems,
        partial="a system that is turned or mirrored is another input to it. Trust it for systems that are "
        "oriented as those of the training set; trust ends outside their distribution.",
    ),
    "motion-forecasting": Task(
        purpose="Studying partial symmetry: bodies whose motion is not the same in all directions, on which "
        "methods and layers are compared; and short forecasts of a skeleton that is recorded in the same "
        "way.",
        not_for="Safety, medicine, or any decision about a person. The model knows one gait of one person, "
        "and errors add up when its answers are fed back to it.",
        trained_on=_bodies,
        beyond=_other_bodies,
        partial="it has learned the way that the bodies of its training set move.",
    ),
    "point-cloud-classification": Task(
        purpose="Naming the kind of a single object from points of its surface, whichever way it is turned, "
        "and a starting point for other networks on point clouds.",
        not_for="Scenes of several objects, scans of one side, machines that act on the answer, or any "
        "decision about safety. It always names one of its classes.",
        trained_on=_clouds,
        beyond=_other_clouds,
        partial="a cloud that is turned is another input to it, and its answer may change. Use the "
        "`equivariant` variant where that matters.",
        predicts="the class of objects of {title}",
    ),
}
