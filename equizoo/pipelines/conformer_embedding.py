"""One distance-geometry embedding from one seed.

References:
    S. Wang, J. Witek, G. A. Landrum, S. Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equizoo.data.embeddings import embed_one
from equizoo.pipelines.geometry import NO_EMBEDDING, Refused

_SECONDS = 5
#: Attempts from the eigenvectors of the distances, then from random positions: strained rings need many.
_ATTEMPTS = {False: 30, True: 200}


def sample_seed(*numbers: int) -> int:
    """Return a positive 31-bit seed, another for other numbers.

    Args:
        *numbers: Seed of the call, number of the sample, and so on; any integers.

    Example:
        >>> sample_seed(0, 1) == sample_seed(0, 1) != sample_seed(1, 0)
        True
    """
    entropy = [part for number in numbers for part in (abs(number), int(number < 0))]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)


def embedding(mol: Any, seed: int, sample: int = 0, attempt: int = 0) -> np.ndarray:
    """Make one ETKDGv3 embedding, within a time limit; without stereo labels where it needs that.

    Args:
        mol: RDKit ``Mol`` with explicit hydrogens; its stereo labels are kept.
        seed: Seed of the call.
        sample: Number of the sample.
        attempt: Number of the attempt at this sample.

    Returns:
        (N, 3) float64 positions [Å], the same for the same numbers.

    Raises:
        Refused: None was found.

    Example:
        >>> from rdkit import Chem
        >>> embedding(Chem.AddHs(Chem.MolFromSmiles("C")), seed=0).shape
        (5, 3)
    """
    pos = embed_one(mol, sample_seed(seed, sample, attempt), _ATTEMPTS, _SECONDS)
    if pos is None:
        raise Refused(NO_EMBEDDING)
    return pos
