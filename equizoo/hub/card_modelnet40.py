"""What a model card says about ModelNet40, and about how a classifier fares on worse clouds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from equizoo.data.modelnet40_files import SOURCES
from equizoo.data.qm9_files import Source
from equizoo.hub.card_facts import Dataset, best_variant
from equizoo.hub.card_published import Published
from equizoo.hub.card_recipe import stages
from equizoo.hub.card_tables import count, shown, table
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.results import test_errors

_TRAINING = 9_843
_ROTATIONS = {"so3": "turned at random", "z": "turned at random about the vertical", "aligned": "not turned"}
_CHANGES = {
    "none": "as they are",
    "replaced": "{:.3g} % of the points replaced by the first one",
    "removed": "{:.3g} % of the points taken out",
    "jitter": "noise of {:g} radii on each coordinate",
    "scale": "{:g} times as large",
}
_PERCENT = ("replaced", "removed")
_WORSE = {
    ("none", 0.0): "as they are",
    ("removed", 0.25): "with a quarter of the points taken out",
    ("replaced", 0.25): "with a quarter of the points replaced by one of them",
}
"""Conditions at the head of a card."""
_PUBLISHED = {"neighbours": 20, "embedding": 341, "dropout": 0.5}
_PUBLISHED_SMOOTHING = 0.2
_SIZES = {
    "neighbours": "{} neighbours",
    "embedding": "an embedding of {}",
    "dropout": "dropout {:g} in the classifier",
}


class ModelNet40(Dataset):
    """ModelNet40 with a validation part, of which accuracies are shown in the place of error rates."""

    text = (
        "ModelNet40: CAD models of 40 kinds of objects, as random points of their surfaces, each cloud "
        "centred and scaled to the unit sphere."
    )
    papers = ("modelnet",)
    limits = (
        "It knows 40 kinds of man-made objects as whole, clean CAD models: a scan sees one side only, has a "
        "background and noise, and an object of another kind gets one of the 40 names all the same.",
        "ModelNet40 is for academic research; the copyright of the CAD models stays with their authors. Mind "
        "this before the weights are used otherwise.",
    )
    title, sample = "ModelNet40", "cloud"
    measured = (
        ": over all objects (instance), and the mean over the classes of the accuracy in each (class). Test "
        "clouds are the same in every evaluation"
    )
    norm = "over the logits of a cloud"
    shows, better = "accuracy", "above"
    sources = "equizoo.data.modelnet40"

    def brief(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return the accuracy on whole clouds and on worse ones."""
        variant = best_variant(config, results)
        errors = test_errors(results, variant)
        measured = results.get("robustness", {}).get("variants", {}).get(variant, {})
        conditions, surface = measured.get("conditions", []), measured.get("surface")
        tried = results.get("robustness", {}).get("n", {}).get("changed")
        found = {(one["change"], one["level"]): one["answers"]["instance"] for one in conditions[1:]}
        worse = [f"{shown(found[key], self)} % {what}" for key, what in _WORSE.items() if key in found]
        return [
            f"**How often right:** {shown(errors['instance'], self)} % of the test clouds get the right one "
            f"of {len(config.domain.classes)} names; as a mean of the classes, "
            f"{shown(errors['class'], self)} %.{self._of_surface(surface)}",
            *(
                [f"**On worse clouds**, by the pipeline, {tried} of them: {'; '.join(worse)}."]
                if worse
                else []
            ),
            "**Do not trust it** for scans, which see one side of an object, for scenes, or for objects that "
            "are not among its names: they get one of them all the same.",
        ]

    def source(self, config: CheckpointConfig) -> Source:
        """Return the meshes, from which all other forms were made."""
        return SOURCES["ModelNet40"]

    def _of_surface(self, surface: Mapping[str, Any] | None) -> str:
        if surface is None:
            return ""
        return (
            f" From {surface['points']:,} points, of which the pipeline makes {surface['votes']} clouds, "
            f"{self._both(surface['answers'], ' % and ')} %."
        )

    def _both(self, errors: Mapping[str, float], between: str = " / ") -> str:
        return between.join(shown(errors[name], self) for name in ("instance", "class"))

    def exact(self, config: CheckpointConfig) -> str:
        """Say that logits are scalars, and leave out translations where clouds are not centred."""
        moved = "" if config.config.get("centre") is False else ", translations"
        return f"invariant under rotations, mirrors{moved} and the order of the points"

    def stage(self, settings: Mapping[str, Any]) -> str:
        """Return the number of points and of neighbours."""
        points, neighbours = settings.get("data.points"), settings.get("model.neighbours")
        parts = [f"{points} points a cloud"] if points else []
        return " and ".join([*parts, *([f"{neighbours} neighbours"] if neighbours else [])])

    def figure(self, error: float) -> float:
        """Return the accuracy [%] for an error rate [%]."""
        return 100.0 - error

    def round_off(self, config: CheckpointConfig) -> str:
        """Add that round-off may exchange neighbours."""
        return (
            f"{super().round_off(config)} In float32 it may exchange two points that are equally near, which "
            "changes more than the last digits; a large shift costs digits before the cloud is centred."
        )

    def by_checkpoint(self, targets: Collection[str]) -> bool:
        """Put the two accuracies of a checkpoint side by side."""
        return True

    def split(self, config: CheckpointConfig, results: Mapping[str, Any]) -> str:
        """Return how the validation part is chosen."""
        data = results["data"]
        draws = data.get("valid_draws", 1)
        return (
            f"the published parts; {100 * data.get('valid_fraction', 0.1):.3g} % of the training objects of "
            f"each class, chosen with seed {data.get('split_seed', 0)}, are for validation"
            + (f", each with {draws} draws of its points" if draws > 1 else "")
        )

    def notes(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say which points a cloud has, and what is done to training and test clouds."""
        domain, data = config.domain, results["data"]
        points = "drawn anew in every epoch" if data.get("resample") else "the first of each object"
        tested = _ROTATIONS[data.get("test_rotations", "so3")]
        there = results["counts"]["train"] + results["counts"]["valid"] // data.get("valid_draws", 1)
        lacking = f"The data had {there:,} of the {_TRAINING:,} published training objects"
        known = [part.settings.get("data.points") for part in stages(config)]
        fewer = "".join(
            f" ({few} in stage {i} of the training)" for i, few in enumerate(known, 1) if few != domain.points
        )
        return [
            f"{domain.points} points a cloud{fewer}, in training {points}; training clouds are "
            f"{_ROTATIONS[domain.rotations]}, test clouds {tested}",
            *([lacking] if there < _TRAINING else []),
        ]

    def setting(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say how training clouds and labels are changed, on how many points, and the size of the network."""
        data, parts = results["data"], []
        if data.get("resample"):
            parts.append("fresh points of each surface in every epoch")
        if stretch := data.get("stretch"):
            parts.append(
                f"each axis of a training cloud stretched by its own factor, {1 / stretch:.2g} to {stretch:g}"
            )
        if data.get("scale"):
            low, high = data["scale"]
            parts.append(f"training clouds {low:g} to {high:g} times as large")
        if data.get("label_smoothing", 0.0) != _PUBLISHED_SMOOTHING:
            parts.append(
                f"label smoothing {data.get('label_smoothing', 0.0):g} (published: {_PUBLISHED_SMOOTHING:g})"
            )
        if adjusted := data.get("logit_adjustment"):
            parts.append(f"{adjusted:g} times the log of a class's share added to its logit in training")
        half = [stage.settings.get("precision") == "bfloat16" for stage in stages(config)]
        if any(half):
            where = " and ".join(f"{i}" for i, is_half in enumerate(half, 1) if is_half)
            which = "" if all(half) else f" in stage {where}"
            parts.append(f"matrix products of training in bfloat16{which}")
        lengths: dict[str, int] = {}
        for stage in stages(config):
            about = self.stage(stage.settings)
            lengths[about] = lengths.get(about, 0) + (stage.epochs or 0)
        if len(lengths) > 1:
            parts.append(
                ", then ".join(f"{count(epochs, 'epoch')} on {about}" for about, epochs in lengths.items())
            )
        return parts + [
            f"{_SIZES[key].format(config.config[key])} (published: {theirs:g})"
            for key, theirs in _PUBLISHED.items()
            if config.config.get(key, theirs) != theirs
        ]

    def unlike(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Say that the size of a cloud matters, and that clouds which are not centred do where they do."""
        lines = ["The size of a cloud matters: scale it to the unit sphere, as the pipeline does."]
        if config.config.get("centre") is False:
            lines.append("The model does not centre clouds, so no variant is translation-invariant.")
        return lines

    def caveats(
        self, config: CheckpointConfig, results: Mapping[str, Any], published: Published
    ) -> list[str]:
        """Say how the published accuracies were chosen and averaged."""
        return [
            "The published figures are those of the best epoch on the test set, chosen separately for either "
            "accuracy and variant, under rotations that are drawn anew in each epoch; they are means over "
            "batches, and class accuracy is averaged in each batch first. Here the epoch is chosen on "
            "validation clouds, and the test set plays no part in it."
        ]

    def sections(self, config: CheckpointConfig, results: Mapping[str, Any]) -> list[str]:
        """Return the section on worse clouds and on probabilities."""
        measured = results.get("robustness")
        if not measured:
            return ["## Worse clouds\n\nNot measured."]
        whole, changed = measured["n"]["whole"], measured["n"]["changed"]
        return [
            "\n\n".join(
                [
                    "## Worse clouds",
                    f"Accuracy [%] on clouds of {measured['points']} points. Where there are two: instance / "
                    f"class accuracy on all {whole:,} test clouds. Others: instance accuracy on {changed:,} "
                    f"of them (standard error of 80 %: {100 * (0.8 * 0.2 / changed) ** 0.5:.1f}), spread "
                    "over the classes, which are changed after centring and scaling, without training on "
                    "such. The pipeline leaves out points that are given twice, centres and "
                    "scales, and takes fewer neighbours in smaller clouds, in proportion to the points:",
                    self._conditions(config, measured),
                    self._probabilities(config, measured),
                ]
            )
        ]

    def _conditions(self, config: CheckpointConfig, measured: Mapping[str, Any]) -> str:
        figures = [measured["variants"][variant] for variant in config.variants]
        whole, *changed = zip(*(one["conditions"] for one in figures), strict=True)
        every = f"all {measured['n']['whole']:,} {_CHANGES['none']}"
        rows = [[every, *(cell for one in whole for cell in (self._both(one["errors"]), "–"))]]
        surface = figures[0]["surface"]
        what = f"{surface['points']:,} points, of which the pipeline makes {surface['votes']} clouds"
        rows.append([what, *(c for one in figures for c in ("–", self._both(one["surface"]["answers"])))])
        for conditions in changed:
            change, level = conditions[0]["change"], conditions[0]["level"]
            amount = 100 * level if change in _PERCENT else level
            kinds = ((one[kind]["instance"] for kind in ("errors", "answers")) for one in conditions)
            cells = [shown(error, self) for pair in kinds for error in pair]
            rows.append([_CHANGES[change].format(amount), *cells])
        heads = [head for variant in config.variants for head in (f"`{variant}`", f"`{variant}`, pipeline")]
        return table(["clouds", *heads], rows)

    def _probabilities(self, config: CheckpointConfig, measured: Mapping[str, Any]) -> str:
        lines = []
        for variant in config.variants:
            one = measured["variants"][variant]["calibration"]
            lines.append(
                f"- `{variant}`: {100 * one['ece']:.2f} % before, {100 * one['ece_scaled']:.2f} % after; "
                f"negative log likelihood {one['nll']:.3f} before, {one['nll_scaled']:.3f} after"
            )
            surface = measured["variants"][variant]["surface"]
            lines[-1] += (
                f"; by the pipeline, from {surface['points']:,} points, {100 * surface['ece']:.2f} % and "
                f"{surface['nll']:.3f}"
            )
        return (
            f"Expected calibration error of the probabilities on the {measured['n']['whole']:,} test clouds "
            f"(15 intervals), before and after the logits are divided by {measured['temperature']:.3g}, "
            "fitted on validation clouds; the pipeline does so:\n\n" + "\n".join(lines)
        )
