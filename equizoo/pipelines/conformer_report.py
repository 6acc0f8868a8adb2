"""Conformers as a table to read, and as a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence

import numpy as np

from equizoo.pipelines.conformer_result import Conformers
from equizoo.pipelines.writing import table_file

_LABEL = 40  # characters
_FATES = {
    "wrong_stereo": "of other stereochemistry",
    "clashes": "with clashes",
    "not_embedded": "not embedded",
    "not_relaxed": "not relaxed",
}


def format_conformers(answers: Sequence[Conformers], caution: str | None = None) -> str:
    """Return answers as text: a line a molecule, notes below.

    Args:
        answers: What the pipeline returned for a list.
        caution: What to know about these conformers, or None.

    Returns:
        The text, without a line break at its end.

    Example:
        >>> from equizoo.pipelines.conformer_result import Tally
        >>> print(format_conformers([Conformers("CC.O", Tally(10), error="it has 2 separate fragments")]))
        no answer:
          CC.O: it has 2 separate fragments
    """
    answered = [answer for answer in answers if answer.ok]
    lines = [*_table(answered), ""] if answered else []
    for method in sorted({answer.method for answer in answered if answer.method}):
        lines.append(f"Ranked by energy: {method} [kcal/mol].")
    if any(answer.method is None for answer in answered):
        lines.append("Without a range: MMFF94 has no parameters for it, so the conformers are not ranked.")
    for answer in answered:
        lines += [f"{_label(answer)}: {note}" for note in _notes(answer)]
    outside = [answer for answer in answered if not answer.in_domain]
    if outside:
        lines.append("† is outside the training domain: how good its conformers are was not measured.")
        lines += [f"  {_label(answer)}: {answer.domain_reason}" for answer in outside]
    if answered and caution is not None:
        lines.append(f"Note: {caution}.")
    refused = [answer for answer in answers if not answer.ok]
    if refused:
        lines += ["", "no answer:"] if answered else ["no answer:"]
        lines += [f"  {_label(answer)}: {answer.error}" for answer in refused]
    return "\n".join(lines).rstrip()


def _label(answer: Conformers) -> str:
    text = answer.name or answer.source or "''"
    return text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"


def _table(answered: Sequence[Conformers]) -> Iterator[str]:
    rows = [("molecule", "conformers", "asked", "samples", "rejected", "copies", "range", "seconds")]
    for answer in answered:
        tally, highest = answer.tally, answer.relative_energies[-1]
        numbers = (tally.made, tally.asked, tally.sampled, tally.rejected, tally.duplicates)
        span = f"{highest:.1f}" if np.isfinite(highest) else "–"
        mark = "" if answer.in_domain else " †"
        rows.append((_label(answer) + mark, *map(str, numbers), span, f"{tally.seconds:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *right])


def _notes(answer: Conformers) -> Iterator[str]:
    if answer.chosen:
        left = "one stereo element was" if answer.chosen == 1 else f"{answer.chosen} stereo elements were"
        yield f"{left} left open; the conformers are those of {answer.smiles}"
    if answer.tally.rejected:
        counts = ((getattr(answer.tally, name), text) for name, text in _FATES.items())
        yield "rejected " + ", ".join(f"{count} {text}" for count, text in counts if count)


def write_table(answers: Sequence[Conformers], path: str | os.PathLike[str]) -> None:
    """Write a CSV file: a line a conformer, and one for each molecule without an answer.

    Args:
        answers: What the pipeline returned for a list.
        path: The file; it appears whole or not at all.
    """
    columns = ["input", "name", "ok", "error", "in_domain", "domain_reason", "smiles", "rank", "sample"]
    with table_file(path) as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "energy [kcal/mol]", "relative energy [kcal/mol]", "energy method"])
        for answer in answers:
            record = answer.record()
            about = [record[column] for column in columns[:7]]
            if answer.energies is None or answer.samples is None:
                writer.writerow([*about, *[None] * 5])
                continue
            known = zip(answer.samples, answer.energies, answer.relative_energies, strict=True)
            for rank, (sample, *energies) in enumerate(known, 1):
                cells = [f"{energy:.4f}" if np.isfinite(energy) else None for energy in energies]
                writer.writerow([*about, rank, sample, *cells, answer.method])
