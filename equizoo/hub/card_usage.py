"""The section of a model card on use: what to install, what the pipeline and the model take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from equizoo.hub.card_facts import best_variant, find
from equizoo.hub.config import CheckpointConfig


@dataclass(frozen=True)
class Usage:
    """How a checkpoint of a task is called.

    Attributes:
        install: Package with the extras that the pipeline needs, and in brackets what else may be wanted.
        pipeline: Lines of Python that call the pipeline ``predict``; ``{motion}`` stands for the motion.
        takes: What the pipeline takes, with units.
        gives: What it gives, with units.
        model: Lines of Python that call ``model``.
        inputs: Arguments of the model.
        output: What the model returns.
    """

    install: str
    pipeline: str
    takes: str
    gives: str
    model: str
    inputs: tuple[str, ...]
    output: Callable[[CheckpointConfig], str]


def usage(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the section on use.

    Raises:
        ConfigError: There is no text for the task.
    """
    use = find(USES, config.task, "task", "card_usage")
    needed = best_variant(config, results) == "partial"
    chosen = ', variant="partial"' if needed else ""
    variant = '  # or variant="partial"' if "partial" in config.variants and not needed else ""
    load = f'predict = equizoo.pipeline("{config.task}", model="{config.name}"{chosen})'
    build = f'model = equizoo.from_pretrained("{config.name}"{chosen}){variant}'
    return f"""## Use

```bash
{use.install}
```

```python
{_program(use.pipeline, load, config)}
```

The pipeline takes {use.takes}

It gives {use.gives}

The network itself, for gradients, features or batches of your own:

```python
{_program(use.model, build, config)}
```

Inputs of the model:

{chr(10).join(f"- {line}" for line in use.inputs)}

Output: {use.output(config)}"""


def _program(code: str, load: str, config: CheckpointConfig) -> str:
    """Return lines of Python with the one that loads the checkpoint after the imports."""
    lines = code.replace("{motion}", str(config.domain.get("motion", ""))).splitlines()
    imports = [line for line in lines if line.startswith("from ")]
    first = "import equizoo, torch" if "torch." in code else "import equizoo"
    return "\n".join([first, *imports, load, *(line for line in lines if line not in imports)])


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
        f"{domain.horizon} after the input"
    )


def _classes(config: CheckpointConfig) -> str:
    classes = config.domain.classes
    return f"`(B, {len(classes)})`, logits of the classes, in this order: {', '.join(classes)}"


_BODY = "from equizoo.demo.gait import figure  # a made-up body at 120 Hz; use two frames of your recording\n"

USES = {
    "molecule-properties": Usage(
        install='pip install "equizoo[molecules]"  # "equizoo[molecules,xtb]" for geometries by GFN2-xTB',
        pipeline='print(predict("CCO")["properties"])',
        takes="a SMILES string, an RDKit `Mol`, ASE `Atoms`, PyG `Data` or `Batch`, or the path of an "
        "`.xyz`, `.sdf`, `.smi` or `.csv` file, or a list of these. Coordinates [Å] that come with an input "
        "are used; without any, a geometry is made with ETKDGv3 and MMFF94 "
        '(or GFN2-xTB: `geometry="xtb"` of `equizoo.pipeline`).',
        gives="a dict a molecule. `properties` has for each target `value`, `unit`, `test_mae` (the mean "
        "error at this kind of geometry) and `interval`, `[low, high]` or None; `atomization` the energies "
        "relative to free atoms [eV]; `ok` and `error` say whether and why not it was answered, `in_domain` "
        "and `domain_reason` whether the training set has such molecules.",
        model="y = model(torch.tensor([8, 1, 1]), torch.tensor([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, "
        "0.93, 0.0]]))",
        inputs=(
            "`z`: `(N,)` int64, atomic numbers of all atoms of B molecules",
            "`pos`: `(N, 3)` floating point, positions [Å]",
            "`batch`: `(N,)` int64, sorted, the molecule of each atom; may be left out for one molecule",
        ),
        output=_columns,
    ),
    "conformers": Usage(
        install='pip install "equizoo[molecules]"  # "equizoo[molecules,xtb]" to relax them with GFN2-xTB',
        pipeline='answer = predict("C[C@H](O)CCF", n=5)\n'
        "print(answer.mol.GetNumConformers(), answer.relative_energies)",
        takes="a SMILES string, an RDKit `Mol`, or the path of an `.sdf`, `.smi` or `.csv` file, or a list "
        "of these; `n`, how many conformers are asked for; `seed`; `polish`, None, `'mmff'` or `'xtb'`, what "
        "they are relaxed with; `rmsd` [Å], below which two count as one.",
        gives="for each molecule an answer with `mol`, an RDKit `Mol` with explicit hydrogens and its "
        "conformers [Å], lowest energy first; `relative_energies` [kcal/mol] and `method`, what computed "
        "them; `tally`, what became of the samples; `domain_reason`, what is unlike the training set, or "
        "None; and `to_sdf(path)`.",
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
    ),
    "particle-forecasting": Usage(
        install="pip install equizoo",
        pipeline="positions = [[0.0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2], [-2, -2, 0]]\n"
        "velocities = 0.3 * torch.randn(5, 3)\n"
        "print(predict(positions, velocities, [1, -1, 1, -1, 1]))",
        takes="`positions` [length] and `velocities` [length/time], `(N, 3)` or `(B, N, 3)`, and `charges`, "
        "`(N,)` or `(B, N)`, in the units of the simulation: unit mass, a force q₁q₂/r² between two "
        "particles; or the path of an `.npz` or `.csv` file. It answers systems unlike those of the training "
        "set and warns of them.",
        gives="positions one step later [length], an array shaped as those given. `predict.forecast` gives "
        "energies and what is unlike the training set too, `predict.rollout` several steps.",
        model="pos, vel, charge = torch.randn(5, 3), 0.3 * torch.randn(5, 3), torch.tensor([1.0, -1, 1, -1, "
        "1])\ny = model(pos, vel, charge)",
        inputs=(
            "`pos`: `(N, 3)` floating point, positions of all particles of B systems [length]",
            "`vel`: `(N, 3)` floating point, velocities [length/time]",
            "`charge`: `(N,)` floating point, charges",
            "`batch`: `(N,)` int64, sorted, the system of each particle; may be left out for one system",
        ),
        output=_vector,
    ),
    "motion-forecasting": Usage(
        install="pip install equizoo",
        pipeline=_BODY + 'print(predict(figure("{motion}", 2)).shape)',
        takes="two or more consecutive frames `(F, 31, 3)` at 120 Hz, of which the last two count; or the "
        "positions `(31, 3)` of one frame and the changes up to the next; or the path of an `.npz` or `.amc` "
        "recording. Lengths are ASF units of 0.0564 m, y is up, the floor is y = 0; the joints are in the "
        "order of `predict.joints`. It answers bodies unlike those of the training set and warns of them.",
        gives="positions `(5, 31, 3)` [length] at the frames `predict.frames` after the last but one frame. "
        "`predict.forecast` gives every frame up to the horizon, several steps, and errors where the truth "
        "is known.",
        model=_BODY + 'now, after = torch.tensor(figure("{motion}", 2)).float()\ny = model(now, after - now)',
        inputs=(
            "`pos`: `(N, 3)` floating point, positions of the joints of B bodies, one body after the "
            "other, in the order of `config.json` [length, ASF units; y up]",
            "`vel`: `(N, 3)` floating point, change of the positions up to the next frame [length/frame]",
            "`batch`: `(N,)` int64, sorted, the body of each joint; may be left out for one body",
        ),
        output=_frames,
    ),
    "point-cloud-classification": Usage(
        install='pip install equizoo  # "equizoo[points]" to read .ply, .off and .obj',
        pipeline="from equizoo.demo.shapes import shape  # points of a made-up object; use a cloud of yours\n"
        'print(predict(shape("chair"), top_k=2))',
        takes="points `(N, 3)` of one object in any unit, place and orientation, several clouds as "
        "`(B, N, 3)` or a list, or the path of a `.ply`, `.off`, `.obj`, `.xyz`, `.npy` or `.pcd` file or a "
        "folder. It centres and scales each cloud, reduces larger ones to the size of the training clouds, "
        "and answers smaller ones with a warning.",
        gives='`[{"label": name, "score": probability}, …]`, the most probable first; a list of such lists '
        "for several clouds. `predict.classify` gives what is unlike the training set too.",
        model="from equizoo.demo.shapes import shape\n"
        'cloud = torch.tensor(shape("chair", 300)).float()\n'
        "cloud = cloud - cloud.mean(0)\n"
        "logits = model((cloud / cloud.norm(dim=1).max())[None])",
        inputs=(
            "`points`: `(B, N, 3)` floating point, B clouds of N points, each in the unit sphere",
            "`batch`: `(R,)` int64, sorted, the cloud of each point, with `points` `(R, 3)`; for clouds of "
            "different sizes",
        ),
        output=_classes,
    ),
}
