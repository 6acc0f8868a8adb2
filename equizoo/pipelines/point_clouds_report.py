"""Classes of point clouds as a table to read, and as a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence

from equizoo.pipelines.point_clouds_result import Classification
from equizoo.pipelines.writing import table_file


def format_classes(
    answers: Sequence[Classification],
    top_k: int = 5,
    test_error: Mapping[str, float] | None = None,
    caution: str | None = None,
) -> str:
    """Return answers as text: a line a cloud, notes below.

    Args:
        answers: What the pipeline's ``classify`` returned.
        top_k: Number of classes a line.
        test_error: Test errors [%] of the model, see the pipeline's ``test_error``.
        caution: What to know about these figures, or None.

    Returns:
        The text, without a line break at its end.

    Example:
        >>> refused = Classification("a.ply", ("bed", "cup"), error="the file is empty")
        >>> print(format_classes([refused]))
        no answer:
          a.ply: the file is empty
    """
    answered = [answer for answer in answers if answer.ok]
    lines = [*_table(answered, top_k), ""] if answered else []
    if answered and test_error and "instance" in test_error:
        share = f"{100 - test_error['instance']:.1f} %"
        lines.append(f"On the test set the most probable class is the right one for {share} of the objects.")
    outside = [answer for answer in answered if answer.domain_reason is not None]
    if outside:
        lines.append("† is outside the training domain: how often the class is right was not measured there.")
        lines += [f"  {answer.place}: {answer.domain_reason}" for answer in outside]
    if answered and caution is not None:
        lines.append(f"Note: {caution}.")
    refused = [answer for answer in answers if not answer.ok]
    if refused:
        lines += ["", "no answer:"] if answered else ["no answer:"]
        lines += [f"  {answer.place}: {answer.error}" for answer in refused]
    return "\n".join(lines).rstrip()


def _table(answered: Sequence[Classification], top_k: int) -> Iterator[str]:
    rows = [("cloud", "points", "class", "probability", "then" if top_k > 1 else "")]
    for answer in answered:
        first, *others = answer.top(top_k)
        then = ", ".join(f"{one['label']} {100 * one['score']:.1f} %" for one in others)
        mark = "" if answer.domain_reason is None else " †"
        probability = f"{100 * first['score']:.1f} %"
        rows.append((answer.source + mark, str(answer.points), first["label"], probability, then))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, points, label, probability, then in rows:
        cells = name.ljust(widths[0]), points.rjust(widths[1]), label.ljust(widths[2])
        yield "  ".join([*cells, probability.rjust(widths[3]), then]).rstrip()


def write_classes(answers: Sequence[Classification], path: str | os.PathLike[str], top_k: int = 5) -> None:
    """Write a line a cloud: what it is, then the most probable classes and their probabilities.

    Args:
        answers: What the pipeline's ``classify`` returned.
        path: The file; it appears whole or not at all.
        top_k: Number of classes.
    """
    records = [answer.record(top_k) for answer in answers]
    count = max((len(record["classes"]) for record in records), default=0)
    about = ("input", "ok", "error", "in_domain", "domain_reason", "points")
    with table_file(path) as file:
        writer = csv.writer(file)
        writer.writerow([*about, *(f"{name}_{k + 1}" for k in range(count) for name in ("label", "score"))])
        for record in records:
            best = [value for one in record["classes"] for value in (one["label"], one["score"])]
            writer.writerow([*(record[column] for column in about), *best])
