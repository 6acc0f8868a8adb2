"""What a model card says about recordings of walking and running bodies."""

from __future__ import annotations

import importlib
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from equizoo.hub.card_facts import Dataset, best_variant
from equizoo.hub.card_tables import number
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.results import needs_its_terms, test_errors

_PUBLISHED_HORIZON, _PUBLISHED_FRAMES = 30, 5
_PUBLISHED_SIZE = (128, 6)
_SUBJECTS = {"run": "9, running", "walk": "35, walking"}
_TRIALS = {"run": (5, 3, 3), "walk": (11, 6, 6)}
_BY_TRIAL: dict[str, dict[str, tuple[float, ...]]] = {
    "run": {"strict": (49.86, 32.53, 27.11), "ace": (34.14, 31.73, 25.16)},
    "walk": {
        "strict": (4.53, 5.57, 6.75, 11.10, 5.08, 3.91),
        "ace": (4.99, 6.08, 7.14, 10.34, 5.76, 4.32),
    },
}
"""Test errors [10⁻² length²] with γ = 0 of ``egno-mocap-<motion>-strict`` and ``-ace`` by test trial, in the
published order."""
_TURNS = "rotations about the vertical, mirrors in vertical planes and horizontal translations"
_GAP_SAMPLES = 1000  # a symmetry gap is measured on so many training samples at most
_HEIGHTS = {
    "fixed": "the height of a joint over a fixed scale among its inputs",
    "published": "the height of a joint over the largest of its batch among its inputs",
    "none": "no height among the inputs",
}
_TURNED = {"vertical": "turned at random about the vertical", "so3": "turned at random"}


class MoCap(Dataset):
    """CMU motion capture: subject 9 runs, subject 35 walks; one part of the data set for each."""

    text = (
        "CMU motion capture: recordings of one person at 120 Hz as positions of 31 joints, by forward "
        "kinematics from the joint angles. Lengths are ASF units of 0.0564 m; y is up and the floor is y = 0."
    )
    papers = ("egno", "gmn", "cmu")
    limits = (
        "One person, one floor, one way of moving: other people, gaits, turns, slopes and objects were never "
        "seen.",
        "Bones are not kept rigid: nothing in the model holds their lengths.",
    )
    title, sample = "CMU motion capture", "motion"
    measured = ", at the last target frame, over all joints and axes"
    norm = (
        "over the coordinates of a joint at all target frames, divided by the root mean square of a "
        "coordinate's displacement"
    )
    exponent = -2
    sources = "equizoo.data.mocap"

    def brief(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return the root mean square error of a coordinate of a joint, and that of constant velocity."""
        variant, domain = best_variant(config, results), config.domain
        error = math.sqrt(test_errors(results, variant)["position"])
        centimetres = 100 * importlib.import_module(self.sources).UNIT
        without = ", ".join(
            f"{name} {number(centimetres * math.sqrt(mse), 2)} cm"
            for name, mse in results.get("baselines", {}).items()
        )
        return [
            f"**How wrong** (`{variant}`), as the root mean square of a coordinate of a joint "
            f"{domain.horizon / domain.frame_rate:g} s later: {number(error, 2)} length, "
            f"{number(centimetres * error, 2)} cm{f'; without a model, {without}' if without else ''}.",
            f"**Do not trust it** for another person, or one who does not {domain.motion}, or a skeleton of "
            "other joints, and not beyond one step.",
        ]

    def source(self, config: CheckpointConfig) -> Any:
        """Return the recordings of the subject who moves in this way."""
        return importlib.import_module(self.sources).SOURCES[config.domain.motion]

    def exact(self, config: CheckpointConfig) -> str:
        """Name the group that is left beside the height."""
        if config.config.get("height", "none") == "none":
            return super().exact(config)
        return f"equivariant under {_TURNS}, not under other rotations (the height is an input)"

    def trust(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Say which variant is for which bodies, where both are of use."""
        others = ", and the `equivariant` variant for those who move in another direction"
        return (
            "it has learned the way that the bodies of its training set move. Trust it for bodies that move "
            f"the same way (the pipeline warns of others){'' if needs_its_terms(results) else others}."
        )

    def reading(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say how few recordings the errors are of, and how far they differ between them."""
        if self.setting_name(config):
            return []
        motion, by_trial = config.domain.motion, _BY_TRIAL[config.domain.motion]
        strict, ace = by_trial.values()
        gaps = [a - b for a, b in zip(strict, ace, strict=True)]
        error = statistics.stdev(gaps) / math.sqrt(len(gaps))
        return [
            f"**Few independent samples.** {self._few(config, results)} By recording, in the unit of the "
            f"table: `egno-mocap-{motion}-strict` {_listed(strict)}; `egno-mocap-{motion}-ace` "
            f"{_listed(ace)}. Strict less ACE is {number(statistics.mean(gaps), 2)} ± {number(error, 2)} "
            "(standard error over recordings, one seed of the network each): a difference of this size does "
            "not tell one method from the other."
        ]

    def _few(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        trials = _TRIALS[config.domain.motion][2]
        return (
            f"The {results['n']:,} test motions are windows that overlap, of {trials} recordings of one "
            f"person: they tell little more than {trials} samples would."
        )

    def split(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Return which trials and start frames each part has."""
        train, valid, test = _TRIALS[config.domain.motion]
        starts = results["data"].get("starts", "published")
        kept = "all start frames" if starts == "all" else "the first published start frames"
        text = (
            f"whole trials, by the published indices: {train} for training ({kept} of each), {valid} for "
            f"validation and {test} for testing (the published start frames)"
        )
        if config.domain.motion == "walk":
            text += "; which trial has which published index is assumed to be the sorted order of their names"
        return text

    def notes(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Name the frames, what is done to training samples, and which symmetries the data break."""
        domain, data = config.domain, results["data"]
        first = domain.horizon - domain.frames + 1
        turned = _TURNED.get(data.get("rotate", "none"))
        mirrored = "every other one is mirrored along its way" if data.get("mirror") else None
        changed = " and ".join(part for part in (turned, mirrored) if part)
        return [
            f"Subject {_SUBJECTS[domain.motion]}. Input: positions at a frame and their change up to the "
            f"next; targets: "
            f"positions {first} to {domain.horizon} frames later "
            f"({domain.horizon / domain.frame_rate:g} s)",
            *([f"Training samples: {changed}"] if changed else []),
            *([self._gaps(config, results["counts"]["train"])] if domain.symmetry_gap else []),
        ]

    def setting(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say how the height enters, how large the network is, and which start frames are trained on."""
        parts = [_HEIGHTS[config.config["height"]]] if config.config.get("height") in _HEIGHTS else []
        hidden, layers = (config.config.get(key) for key in ("hidden", "layers"))
        if (hidden, layers) != _PUBLISHED_SIZE:
            parts.append(f"{hidden} features and {layers} layers (published: 128 and 6)")
        if results["data"].get("starts") == "all":
            parts.append("all start frames of the training trials")
        return parts

    def unlike(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say how few recordings were tested on, and what the height takes from the symmetry of the model."""
        height = config.config.get("height")
        lines = [self._few(config, results)]
        if height in ("fixed", "published"):
            lines.append(f"The height of a joint is among its inputs: what is left of E(3) are {_TURNS}.")
        if height == "published":
            lines.append(
                "The height is relative to the largest of the batch, so a prediction depends on the "
                "other bodies that are predicted with it."
            )
        return lines

    def part(self, settings: Mapping[str, Any]) -> str:
        """Return the motion: a table was published for each."""
        return str(settings.get("motion", "run"))

    def setting_name(self, config: CheckpointConfig) -> str:
        """Return the target frames, if they are not the published ones."""
        horizon, frames = config.domain.horizon, config.domain.frames
        published = (horizon, frames) == (_PUBLISHED_HORIZON, _PUBLISHED_FRAMES)
        return "" if published else f"frames {horizon - frames + 1} to {horizon}"

    def round_off(self, config: CheckpointConfig) -> str:
        """Say under which transformations the equivariant variant has no error beyond round-off."""
        if config.config.get("height", "none") == "none":
            return super().round_off(config)
        return (
            f"Under {_TURNS}, what the `equivariant` variant shows is round-off; under the others it is what "
            "the height among its inputs does."
        )

    def _gaps(self, config: CheckpointConfig, samples: int) -> str:
        """Return the symmetry gap of the training data by group, and what it says.

        Standard errors are those of independent samples. If the samples of a trial tell no more than one of
        them, variances are as many times larger as a trial has samples: a gap that is not seen to be larger
        than three of these errors is not called broken.
        """
        gaps, trials = config.domain.symmetry_gap, _TRIALS[config.domain.motion][0]
        times = math.sqrt(max(1.0, min(samples, _GAP_SAMPLES) / trials))
        figures = ", ".join(f"{name} {value:.3g} ± {error:.2g}" for name, (value, error) in gaps.items())
        broken = [name for name, (value, error) in gaps.items() if value > 3 * times * error]
        kept = [name for name in gaps if name not in broken]
        said = [f"{' and '.join(broken)} broken"] if broken else []
        said += [f"{' and '.join(kept)} not seen to be broken"] if kept else []
        return (
            "Symmetry gap of the training data (squared energy distance of positions and displacements, over "
            "their size, from their symmetrisation and, for translations, from bodies that trade places): "
            f"{figures}. These errors take frames for independent; with each of the {trials} trials counted "
            f"once they are {times:.2g} times as large. So, beyond three of those: {', '.join(said)}"
        )


def _listed(errors: Sequence[float]) -> str:
    return ", ".join(number(error) for error in errors)
