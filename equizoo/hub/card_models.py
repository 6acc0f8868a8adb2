"""What model cards say about architectures and methods."""

from __future__ import annotations

from equizoo.hub.card_facts import Facts

_RELAXED = "trained with relaxed layers, f_eq(x) + γ·f_neq(x),"

FAMILIES = {
    "schnet": Facts(
        "SchNet, message passing with filters that are continuous functions of the distances between atoms",
        ("schnet",),
        (
            "Only distances enter, so mirror images get the same answer, and atoms beyond the cutoff of "
            "one another interact through others only.",
        ),
    ),
    "segnn-particles": Facts(
        "SEGNN, steerable message passing: features are irreducible representations of O(3), messages and "
        "updates are gated tensor products with spherical harmonics of relative positions and of velocities, "
        "on the complete graph of a system",
        ("segnn",),
        (
            "Every particle sees every other, so time and memory grow as the square of the number of "
            "particles.",
        ),
    ),
    "egno": Facts(
        "EGNO, message passing between the joints of a body at all target frames at once: Fourier "
        "convolutions "
        "over time for invariant features and for positions, EGNN layers along bones and pairs of bones",
        ("egno", "egnn"),
        (
            "Messages go along one skeleton, and joints are told apart by where they are in it alone: not by "
            "name, nor left from right.",
        ),
    ),
    "segnn-molecules": Facts(
        "SEGNN, steerable message passing: features are irreducible representations of O(3), messages and "
        "updates are gated tensor products with spherical harmonics of the directions between atoms",
        ("segnn",),
        (
            "The targets are scalars, so mirror images get the same answer, and atoms beyond the cutoff of "
            "one another interact through others only.",
        ),
    ),
    "conformer-flow": Facts(
        "A conformer flow, the velocity of atoms between a rough geometry and a conformer: an equivariant "
        "transformer on scalars and vectors (TorchMD-NET, as in ET-Flow) that knows bonds, and which way "
        "each stereo centre is to turn",
        ("etflow", "torchmdnet"),
        ("It moves atoms and makes no bonds: connectivity and stereochemistry are those of its input.",),
    ),
    "vn-dgcnn": Facts(
        "VN-DGCNN, convolutions over the nearest neighbours of each point, found anew in each layer: "
        "features are lists of 3-vectors that turn with the cloud, and the answer comes from invariants in a "
        "frame that the network finds",
        ("vn", "dgcnn"),
        ("Reflections do not change its answer either: it cannot tell a left hand from a right one.",),
    ),
}

METHODS = {
    "none": Facts("trained strictly equivariant, without relaxed layers"),
    "augment": Facts(
        f"{_RELAXED} whose γ is a weight like any other: no method steers it, and the training data are all "
        "that teaches symmetry",
        limits=(
            "γ was free in training: the `equivariant` variant leaves out terms that the network was trained "
            "with.",
        ),
    ),
    "ace-equality": Facts(f"{_RELAXED} whose γ dual ascent drives towards 0 (ACE, Algorithm 1)", ("ace",)),
    "ace-resilient": Facts(
        f"{_RELAXED} whose |γ| dual ascent bounds by a slack that has a price (ACE, Algorithm 2)", ("ace",)
    ),
    "cr": Facts(
        f"{_RELAXED} with γ on a schedule and the Lie derivative of the branch as penalty (constraint "
        "relaxation)",
        ("cr",),
    ),
    "recm": Facts(
        f"{_RELAXED} whose γ a recurrent state drives (RECM; reconstructed from the abstract of arXiv "
        "2602.02853, not the authors' code)",
        ("recm",),
    ),
}
"""The methods of :data:`equizoo.relaxation.method.METHODS`, and ``augment``: see
:func:`equizoo.hub.results.method_key`."""


def method_place(method: str) -> int:
    """Return where a method stands in a table: the strict model first."""
    return [*METHODS, method].index(method)
