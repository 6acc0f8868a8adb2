"""Programs that run without equizoo: ``torch.export`` archives and ONNX files."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from equizoo._replacing import replacing
from equizoo.hub.errors import ExportError

SUFFIXES = {"torch": ".pt2", "onnx": ".onnx"}
INPUTS = ("z", "pos", "counts")
#: Atoms of each molecule of the batch that is traced, and of the two on which the program is checked.
TRACED = (3, 5, 2)
CHECKED = ((9, 4), (1, 17, 6, 3, 12))


@dataclass(frozen=True)
class Exported:
    """What :func:`export` wrote.

    Attributes:
        path: The file.
        format: ``"torch"`` or ``"onnx"``.
        inputs: Names of the arguments, in order.
        sizes: Number of atoms of the two batches on which the program was checked.
        deviation: Largest difference between program and model, in units of the largest value of each target.
    """

    path: Path
    format: str
    inputs: tuple[str, ...]
    sizes: tuple[int, ...]
    deviation: float


class MoleculeProgram(nn.Module):
    """A molecular model as a function of tensors whose shapes say everything.

    Args:
        model: A model that takes ``z``, ``pos``, ``batch`` and ``num_graphs``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, pos: Tensor, counts: Tensor) -> Tensor:
        """Predict ``(B, T)`` targets.

        Args:
            z: ``(N,)`` atomic numbers, int64.
            pos: ``(N, 3)`` positions [Å].
            counts: ``(B,)`` number of atoms of each molecule, int64; they sum to N.

        Returns:
            ``(B, T)`` targets.
        """
        ends = counts.cumsum(0)
        index = torch.arange(z.shape[0], device=z.device)
        batch = (index.unsqueeze(1) >= ends.unsqueeze(0)).sum(1)
        return self.model(z, pos, batch, counts.shape[0])


def export(
    model: nn.Module | str | os.PathLike[str],
    path: str | os.PathLike[str],
    format: str = "torch",
    variant: str = "equivariant",
) -> Exported:
    """Write a model as one file that runs without equizoo, for any number of atoms and molecules.

    The file is read back and run on two batches of different size; it takes its name only if its answers
    are the model's. It carries ``config.json`` (targets, units, domain) if the model was loaded from a
    checkpoint: as the extra file ``config.json`` of a torch archive, as the metadata ``equizoo`` of an ONNX
    file.

    Args:
        model: A molecular model, or what :func:`equizoo.from_pretrained` takes.
        path: File to write; it ends in ``.pt2`` for torch and in ``.onnx`` for ONNX.
        format: ``"torch"`` (:func:`torch.export.save`; runs on the device on which the model lies) or
            ``"onnx"``.
        variant: Variant to load, if ``model`` is a name.

    Returns:
        What was written. The program takes ``z``, ``pos`` and ``counts``, see :class:`MoleculeProgram`.

    Raises:
        ExportError: The format is unknown, the path unfit, an extra is missing, the model takes other inputs
            or the program does not compute what the model computes.

    Example:
        >>> import tempfile
        >>> from equizoo.models.schnet import SchNet, SchNetConfig
        >>> small = SchNet(SchNetConfig(hidden=8, interactions=1, gaussians=4))
        >>> report = export(small, Path(tempfile.mkdtemp()) / "small.pt2")
        >>> program = torch.export.load(report.path).module()
        >>> program(torch.tensor([8, 1, 1]), torch.eye(3), torch.tensor([3])).shape
        torch.Size([1, 1])
    """
    if format not in SUFFIXES:
        raise ExportError(f"format must be one of {', '.join(SUFFIXES)}, got {format!r}")
    path = Path(path)
    if path.suffix != SUFFIXES[format]:
        raise ExportError(f"a file of format {format!r} must end in {SUFFIXES[format]}, got {path.name!r}")
    if not path.absolute().parent.is_dir():
        raise ExportError(f"cannot write {path}: there is no folder {path.absolute().parent}")
    if not isinstance(model, nn.Module):
        from equizoo.hub.loading import from_pretrained

        model = from_pretrained(model, variant)
    if set(getattr(model, "input_types", {})) != {"z", "pos", "batch"}:
        raise ExportError(
            f"{type(model).__name__} takes other inputs than z, pos and batch: only models of molecular "
            "properties are exported"
        )
    program = MoleculeProgram(copy.deepcopy(model)).eval()
    card = getattr(model, "card", None)
    text = card.to_json() if card is not None else "{}"
    with replacing(path) as temporary, torch.no_grad(), _quiet():
        run = (_export_torch if format == "torch" else _export_onnx)(program, temporary, text)
        deviation = max(_deviation(program, run, counts) for counts in CHECKED)
    return Exported(path, format, INPUTS, tuple(sum(counts) for counts in CHECKED), deviation)


def _export_torch(program: nn.Module, path: Path, text: str) -> Callable[..., Tensor]:
    traced = torch.export.export(program, _molecules(program, TRACED), dynamic_shapes=_dynamic_shapes())
    torch.export.save(traced, path, extra_files={"config.json": text})
    return torch.export.load(path).module()


def _export_onnx(program: nn.Module, path: Path, text: str) -> Callable[..., Tensor]:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise ExportError(
            f"ONNX needs the extra 'export' (pip install 'equizoo[export]'): {error}"
        ) from error
    program = program.cpu()
    inputs = _molecules(program, TRACED)
    traced = torch.onnx.export(
        program,
        inputs,
        dynamo=True,
        dynamic_shapes=_dynamic_shapes(),
        output_names=["targets"],
        verbose=False,
    )
    if traced is None:
        raise ExportError("torch.onnx returned no program")
    traced.model.metadata_props["equizoo"] = text
    traced.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(*tensors: Tensor) -> Tensor:
        feed = {name: tensor.numpy() for name, tensor in zip(INPUTS, tensors, strict=True)}
        return torch.from_numpy(session.run(None, feed)[0])

    return run


def _dynamic_shapes() -> dict[str, dict[int, torch.export.Dim]]:
    atoms, molecules = torch.export.Dim("atoms"), torch.export.Dim("molecules")
    return {"z": {0: atoms}, "pos": {0: atoms}, "counts": {0: molecules}}


def _molecules(program: nn.Module, counts: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Make molecules of H, C, N, O and F with bond-like distances [Å]."""
    like = next(program.parameters())
    generator = torch.Generator().manual_seed(sum(counts))
    n = sum(counts)
    z = torch.tensor([1, 6, 7, 8, 9])[torch.randint(5, (n,), generator=generator)]
    index = torch.arange(n)
    grid = torch.stack([index % 3, index // 3 % 3, index // 9], dim=1) * 1.3
    pos = grid + 0.3 * torch.rand(n, 3, generator=generator)
    return z.to(like.device), pos.to(like), torch.tensor(counts, device=like.device)


def _deviation(program: nn.Module, run: Callable[..., Tensor], counts: Sequence[int]) -> float:
    inputs = _molecules(program, counts)
    expected, found = program(*inputs), run(*inputs)
    if found.shape != expected.shape:
        raise ExportError(f"the program gives shape {tuple(found.shape)}, the model {tuple(expected.shape)}")
    scale = expected.abs().amax(0).clamp(min=torch.finfo(expected.dtype).tiny)
    deviation = float(((found - expected).abs() / scale).max())
    tolerance = 1e-10 if expected.dtype == torch.float64 else 1e-4
    if not deviation <= tolerance:
        raise ExportError(
            f"the program deviates from the model by {deviation:.1e} of the largest value on {sum(counts)} "
            f"atoms, more than {tolerance:.0e}; nothing was written"
        )
    return deviation


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's exporters, which warn about their own internals and packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
