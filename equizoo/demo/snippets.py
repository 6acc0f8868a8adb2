"""Python that gives the result which the page shows, to be copied."""

from __future__ import annotations

from collections.abc import Sequence


def molecule(smiles: str | None, file: str | None, model: str, seed: int) -> str:
    """Return the code for the properties of a molecule.

    Example:
        >>> print(molecule("CCO", None, "schnet-qm9-ace", 0))
        import equizoo
        <BLANKLINE>
        predict = equizoo.pipeline("molecule-properties", model='schnet-qm9-ace', seed=0)
        answer = predict('CCO')
        for name, quantity in answer["properties"].items():
            print(name, quantity["value"], quantity["unit"])
    """
    call = f"predict({smiles!r})" if file is None else f"predict({file!r})[0]"
    return (
        "import equizoo\n\n"
        f'predict = equizoo.pipeline("molecule-properties", model={model!r}, seed={seed})\n'
        f"answer = {call}\n"
        'for name, quantity in answer["properties"].items():\n'
        '    print(name, quantity["value"], quantity["unit"])'
    )


def cloud(shape: str | None, file: str | None, drop: float, model: str, variant: str, seed: int) -> str:
    """Return the code for the class of a point cloud."""
    if file is None:
        source, load = "from equizoo.demo.shapes import shape", f"points = shape({shape!r})"
    else:
        source, load = "from equizoo.data.point_files import read_points", f"points = read_points({file!r})"
    return (
        f"import equizoo\nfrom equizoo.demo.clouds import dropped\n{source}\n\n"
        f"{load}\n"
        f"points = dropped(points, {drop:g}, seed={seed})\n"
        f'classify = equizoo.pipeline("point-cloud-classification", model={model!r}, variant={variant!r})\n'
        "for entry in classify(points, top_k=5):\n"
        "    print(f\"{entry['label']:12} {entry['score']:.3f}\")"
    )


def particles(model: str, variant: str, count: int, steps: int, seed: int) -> str:
    """Return the code for a roll-out and its error."""
    return (
        "import equizoo\nfrom equizoo.demo.particles import motion, squared_errors\n\n"
        f"truth = motion({model!r}, particles={count}, steps={steps}, seed={seed})\n"
        f'forecast = equizoo.pipeline("particle-forecasting", model={model!r}, variant={variant!r})\n'
        f"path = forecast.rollout(truth.pos[0], truth.vel, truth.charge, steps={steps})\n"
        "print(squared_errors(truth, path))"
    )


def motion(
    model: str, variant: str, gait: str, phase: float, file: str | None, start: int, steps: int
) -> str:
    """Return the code for the forecast of a body."""
    load = f'predict = equizoo.pipeline("motion-forecasting", model={model!r}, variant={variant!r})\n'
    if file is not None:
        call = f"predict.forecast({file!r}, start={start}, steps={steps})"
        return f"import equizoo\n\n{load}path = {call}\nprint(path.errors.mean(1))"
    return (
        "import equizoo\nfrom equizoo.demo.gait import figure\n\n"
        f"frames = figure({gait!r}, {30 * steps + 2}, phase={phase:g})  # made up, not recorded\n"
        f"{load}path = predict.forecast(frames, start=0, steps={steps})\n"
        "print(path.errors.mean(1))"
    )


def conformers(smiles: str | None, file: str | None, model: str, count: int, seed: int, steps: int) -> str:
    """Return the code for the conformers of a molecule, written to a file."""
    call = f"make({smiles!r}" if file is None else f"make({file!r}"
    answer = f"{call}, n={count}, seed={seed}, steps={steps})" + ("" if file is None else "[0]")
    return (
        "import equizoo\n\n"
        f'make = equizoo.pipeline("conformers", model={model!r})\n'
        f"answer = {answer}\n"
        "print(answer.relative_energies, answer.method)\n"
        'answer.to_sdf("conformers.sdf")'
    )


def symmetry(
    kind: str,
    choice: str,
    model: str,
    variant: str,
    dtype: str,
    turn: Sequence[float],
    shift: float,
    mirror: str,
    gamma: float,
) -> str:
    """Return the code for an equivariance error of the lab."""
    angles = ", ".join(f"{angle:g}" for angle in turn)
    return (
        "from equizoo.demo.lab import subject\nfrom equizoo.demo.symmetry import compare, element\n\n"
        f"given = subject({kind!r}, {model!r}, {choice!r})\n"
        f"motion = element(({angles}), shift={shift:g}, mirror={mirror!r})\n"
        f"found = compare({model!r}, {variant!r}, {dtype!r}, given.inputs, motion, gamma={gamma:g})\n"
        "print(found.relative)"
    )
