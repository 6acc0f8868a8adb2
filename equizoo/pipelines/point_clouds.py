"""Clouds of points in, the kind of object that they show out.

References:
    Z. Wu et al., "3D ShapeNets: A Deep Representation for Volumetric Shapes", CVPR 2015: ModelNet40.
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    Section 4.2: the temperature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from equizoo.pipelines import checked_card, checked_seed, warn_outside
from equizoo.pipelines.point_clouds_input import FEWEST, BadCloud, Entry, expand, prepare, read_entry
from equizoo.pipelines.point_clouds_result import Classification
from equizoo.relaxation.layer import relaxations

TASK = "point-cloud-classification"
VOTES = 3
_FEWEST_NEIGHBOURS = 4  # in clouds of fewer than 70 points; not tuned
_PARTIAL = (
    "a partial variant is not exactly invariant: its probabilities change somewhat when a cloud is turned; "
    "use the equivariant variant where that matters"
)


class PointCloudClassificationPipeline:
    """Predict what a cloud of points shows.

    An input is an array, a tensor or nested lists of positions, or a file ``.ply``, ``.off``, ``.obj``,
    ``.xyz``, ``.npy`` or ``.pcd`` (see :func:`equizoo.data.point_files.read_points`); a mesh is replaced by
    points drawn on its surface. Units, place and orientation do not matter. Clouds of more points than the
    model was trained on are reduced by farthest-point sampling, to several clouds without common points if
    there are enough, over whose logits the answer is the mean. Smaller ones are used as they are, with fewer
    neighbours in proportion, and flagged; those of fewer than 20 different points are refused. A point that
    is given several times counts once. A call, whose answer is labels and scores, flags by one
    :class:`~equizoo.pipelines.DomainWarning`; :meth:`classify` by a reason a cloud.

    The model knows its classes only: an object of another kind gets one of them, often with a large
    probability.

    Args:
        model: A model with ``forward(points (B, N, 3)) -> (B, C)`` logits, and its checkpoint's ``card``.
        device: Where it runs; where it is unless given.
        seed: Seed of the points drawn on meshes and of the thinning of clouds above 10,000 points; 0 to
            2³¹ − 1.
        batch_size: Clouds a forward pass.
        votes: Clouds that a larger one is reduced to at most, see
            :func:`equizoo.pipelines.point_clouds_input.voting_clouds`. More take longer and are more often
            right; the cards state the accuracy of both.
        results: Contents of the checkpoint's ``results.json``, with its test errors; read from its folder
            when :func:`equizoo.pipeline` loads it by name.

    Attributes:
        classes: Names of the classes, in the order of the model's output.
        caution: What a user of this variant has to know, or None.
        test_error: Test errors [%] by name: ``"instance"``, share of the objects that get a wrong class, and
            ``"class"``, the same averaged over classes; those that were measured.

    Raises:
        ValueError: ``batch_size``, ``votes`` or ``seed`` is out of its range, or the model is not a
            checkpoint of this task.

    Example:
        >>> from equizoo import pipeline
        >>> classify = pipeline("point-cloud-classification")  # doctest: +SKIP
        >>> classify("chair.ply", top_k=2)  # doctest: +SKIP
        [{'label': 'chair', 'score': 0.93}, {'label': 'stool', 'score': 0.02}]
    """

    OPTIONS = ("seed", "batch_size", "votes", "results")

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        seed: int = 0,
        batch_size: int = 32,
        votes: int = VOTES,
        results: Mapping[str, Any] | None = None,
    ) -> None:
        if batch_size < 1 or votes < 1:
            raise ValueError(f"batch_size and votes must be positive, got {batch_size} and {votes}")
        self.card: Any = checked_card(model, TASK)
        self.model = (model if device is None else model.to(device)).eval()
        self.domain = self.card.domain
        self.classes: tuple[str, ...] = tuple(self.domain.classes)
        self.seed, self.batch_size, self.votes = checked_seed(seed), batch_size, votes
        self._neighbours: int | None = getattr(getattr(model, "config", None), "neighbours", None)
        self._fewest = max(FEWEST, self._neighbours or 0)
        self._most = max(self.domain.points, self._fewest)
        variant = "partial" if relaxations(model) else "equivariant"
        self.caution = _PARTIAL if variant == "partial" else None
        measured = (results or {}).get("variants", {}).get(variant, {})
        self.test_error: dict[str, float] = dict(measured.get("errors", {}))

    def __call__(self, clouds: Any, top_k: int = 5) -> list[Any]:
        """Predict the most probable classes.

        Args:
            clouds: One cloud: (N, 3) positions or the path of a file. Several: (B, N, 3), a list of clouds of
                any sizes and of files, or a folder: all files in it, at any depth, that can be point clouds.
            top_k: Number of classes.

        Returns:
            ``[{"label": name, "score": probability}, …]``, the most probable first; a list of such lists, in
            order, for several clouds.

        Warns:
            DomainWarning: Clouds are smaller than those of the training set.

        Raises:
            BadCloud: A cloud cannot be answered; the message says which and why. :meth:`classify` answers the
                others.
            ValueError: ``top_k`` is not positive.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be positive, got {top_k}")
        entries, single = expand(clouds)
        answers = self._classify(entries)
        for answer in answers:
            if answer.error is not None:
                raise BadCloud(f"{answer.place}: {answer.error}")
        reasons = [answer.domain_reason for answer in answers]
        warn_outside("clouds", [answer.place for answer in answers], reasons)
        return answers[0].top(top_k) if single else [answer.top(top_k) for answer in answers]

    def classify(self, clouds: Any) -> list[Classification]:
        """Predict as a call does, and return all that is known: an entry a cloud, also for those refused.

        Args:
            clouds: As for a call.

        Returns:
            The answers in order, always as a list.

        Raises:
            BadCloud: The input is nothing that has points.
        """
        return self._classify(expand(clouds)[0])

    def _classify(self, entries: Sequence[Entry]) -> list[Classification]:
        from tqdm import tqdm

        answers: list[Classification] = []
        with tqdm(total=len(entries), desc="clouds", leave=False, disable=None, delay=1) as progress:
            for start in range(0, len(entries), self.batch_size):
                part = entries[start : start + self.batch_size]
                answers += self._answer(part)
                progress.update(len(part))
        return answers

    def _answer(self, entries: Sequence[Entry]) -> list[Classification]:
        answers = [self._prepared(entry) for entry in entries]
        shapes = {answer.clouds.shape for answer in answers if answer.clouds is not None}
        for shape in sorted(shapes):
            rows = [
                row for row, one in enumerate(answers) if one.clouds is not None and one.clouds.shape == shape
            ]
            scores = self._scores(np.stack([answers[row].clouds for row in rows]))
            for row, values in zip(rows, scores, strict=True):
                if np.isfinite(values).all():
                    answers[row] = replace(answers[row], scores=values)
                else:
                    answers[row] = self._refused(
                        answers[row].source, "the model's answer is not a finite number"
                    )
        return answers

    def _prepared(self, entry: Entry) -> Classification:
        """Return the entry without scores yet: its cloud, or why there is none."""
        try:
            points = read_entry(entry, self.votes * self._most, self.seed)
            clouds = prepare(points, self._most, self._fewest, self.seed, self.votes)
        except BadCloud as error:
            return self._refused(entry.source, str(error))
        few = f"{clouds.shape[1]} points, and the model was trained on {self.domain.points}"
        reason = few if clouds.shape[1] < self.domain.points else None
        return Classification(entry.source, self.classes, domain_reason=reason, clouds=clouds)

    def _refused(self, source: str, error: str) -> Classification:
        return Classification(source, self.classes, error=error)

    @torch.no_grad()
    def _scores(self, clouds: np.ndarray) -> np.ndarray:
        """Return the (B, C) float64 probabilities of the voting clouds (B, V, n, 3)."""
        parameter = next(self.model.parameters())
        voting, options = torch.from_numpy(clouds).to(parameter), self._options(clouds.shape[2])
        logits = torch.stack([self.model(one, **options) for one in voting.unbind(1)]).double().mean(0).cpu()
        if logits.shape != (len(clouds), len(self.classes)):
            raise ValueError(
                f"the model answers {tuple(logits.shape)} for {len(clouds)} clouds, and the checkpoint names "
                f"{len(self.classes)} classes"
            )
        return (logits / self.domain.temperature).softmax(1).numpy()

    def _options(self, points: int) -> dict[str, int]:
        """Return the number of neighbours, as large a part of a cloud of so many points as in training."""
        usual, known = self._neighbours, self.domain.points
        if usual is None or points >= known:
            return {}
        return {"neighbours": min(usual, max(_FEWEST_NEIGHBOURS, round(usual * points / known)))}
