"""Where conformers start from: distance-geometry embeddings, or samples of the harmonic prior.

References:
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3.
    M. Hassan et al., "ET-Flow: Equivariant Flow-Matching for Molecular Conformer Generation", NeurIPS 2024,
    Section 3: the harmonic prior.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from equizoo.pipelines.conformer_embedding import embedding, sample_seed
from equizoo.pipelines.conformer_energies import has_mmff
from equizoo.pipelines.conformer_stereo import matching_embedding
from equizoo.pipelines.geometry import Refused

if TYPE_CHECKING:
    from equizoo.models.molecule_batch import Molecule
    from equizoo.pipelines.conformer_input import Subject


def check_prior(subject: Subject, prior: str) -> None:
    """Check that a molecule has starts of a kind.

    Args:
        subject: The molecule.
        prior: ``"mmff"``, which needs parameters, or another.

    Raises:
        Refused: MMFF94 has no parameters for the molecule.
    """
    if prior == "mmff" and not has_mmff(subject.mol):
        raise Refused(
            f"MMFF94 has no parameters for {subject.smiles}, and this model starts from geometries that it "
            "has relaxed"
        )


def etkdg_starts(subject: Subject, seed: int, samples: Sequence[int]) -> dict[int, np.ndarray]:
    """Make the embeddings of several samples.

    Args:
        subject: The molecule.
        seed: Seed of the call.
        samples: Numbers of the samples.

    Returns:
        (N, 3) positions [Å] by sample; those that failed are left out.
    """
    embed = embedding if subject.constrained else matching_embedding
    starts: dict[int, np.ndarray] = {}
    for sample in samples:
        with contextlib.suppress(Refused):
            starts[sample] = embed(subject.mol, seed, sample)
    return starts


def mmff_starts(subject: Subject, seed: int, samples: Sequence[int]) -> dict[int, np.ndarray]:
    """Make the embeddings of several samples and relax them with MMFF94.

    Args:
        subject: The molecule.
        seed: Seed of the call.
        samples: Numbers of the samples.

    Returns:
        (N, 3) positions [Å] by sample; those that failed are left out.

    Raises:
        ValueError: MMFF94 has no parameters for the molecule, see :func:`check_prior`.
    """
    from equizoo.data.embeddings import relax_mmff

    starts = etkdg_starts(subject, seed, samples)
    return {sample: relax_mmff(subject.mol, pos[None])[0][0] for sample, pos in starts.items()}


def harmonic_starts(molecule: Molecule, seed: int, samples: Sequence[int]) -> dict[int, np.ndarray]:
    """Draw several samples from the harmonic prior.

    Args:
        molecule: The molecule.
        seed: Seed of the call.
        samples: Numbers of the samples.

    Returns:
        (N, 3) positions [Å] by sample.
    """
    from equizoo.models.flow_matching import harmonic_modes

    modes = harmonic_modes(molecule)
    sources = {sample: np.random.default_rng(sample_seed(seed, sample)) for sample in samples}
    return {sample: modes @ source.normal(size=(modes.shape[1], 3)) for sample, source in sources.items()}
