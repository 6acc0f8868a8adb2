"""The bones of the bodies that motion models were trained on, and of bodies that are not like them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

MOTIONS = ("run", "walk")
LENGTHS: Mapping[str, tuple[float, float]] = {
    "lhipjoint": (2.517, 2.639),
    "lfemur": (7.543, 7.410),
    "ltibia": (7.719, 7.926),
    "lfoot": (2.184, 2.287),
    "ltoes": (1.097, 1.147),
    "rhipjoint": (2.508, 2.513),
    "rfemur": (7.434, 7.613),
    "rtibia": (7.771, 7.992),
    "rfoot": (2.229, 2.341),
    "rtoes": (1.118, 1.164),
    "lowerback": (1.951, 2.029),
    "upperback": (1.962, 2.030),
    "thorax": (2.009, 2.058),
    "lowerneck": (1.758, 1.717),
    "upperneck": (1.726, 1.738),
    "head": (1.800, 1.744),
    "lclavicle": (3.480, 3.531),
    "lhumerus": (5.523, 5.065),
    "lradius": (3.587, 3.602),
    "lwrist": (1.793, 1.801),
    "lhand": (0.536, 0.450),
    "lfingers": (0.432, 0.363),
    "lthumb": (0.621, 0.521),
    "rclavicle": (3.441, 3.663),
    "rhumerus": (5.848, 5.364),
    "rradius": (3.627, 3.580),
    "rwrist": (1.814, 1.790),
    "rhand": (0.651, 0.664),
    "rfingers": (0.524, 0.535),
    "rthumb": (0.753, 0.768),
}
"""Length of the bone that ends in a joint [length]: of CMU's subjects 9, who runs, and 35, who walks.

It is the same in every frame of every recording, to 7e-6.
"""
_SHARE, _LENGTH = 0.1, 0.3
"""How far a bone may be off: a tenth of its length, and 0.3 [length], 1.7 cm.

With the bones of the other subject the error of the test set is 1.2 to 2.4 times as large, with those of a
body 1.1 times as large 4 to 11 times, and 1.3 times as large 64 to 133 times.
"""


def trained_lengths(domain: Mapping[str, Any]) -> np.ndarray | None:
    """Return the lengths of the bones that a model was trained on.

    Args:
        domain: What it was trained on, see :class:`equizoo.hub.domain.MotionDomain`.

    Returns:
        A length a bone of the domain [length]; None where the motion or a joint is not a known one.

    Example:
        >>> trained_lengths({"motion": "walk", "joints": ("root", "lhipjoint"), "bones": ((1, 0),)}).tolist()
        [2.639]
    """
    ends = [domain["joints"][child] for child, _ in domain["bones"]]
    if domain["motion"] not in MOTIONS or not set(ends) <= LENGTHS.keys():
        return None
    motion = MOTIONS.index(domain["motion"])
    return np.array([LENGTHS[joint][motion] for joint in ends])


def other_bones(pos: np.ndarray, vel: np.ndarray, domain: Mapping[str, Any]) -> str | None:
    """Return which bones of a body, now or a frame later, have not the length of the training set, or None.

    Args:
        pos: (J, 3) positions [length].
        vel: (J, 3) velocities, the change up to the next frame [length / frame].
        domain: What the model was trained on, see :class:`equizoo.hub.domain.MotionDomain`.
    """
    known = trained_lengths(domain)
    if known is None:
        return None
    child, parent = np.array(domain["bones"]).T
    frames = np.stack([pos, pos + vel])
    lengths = np.linalg.norm(frames[:, child] - frames[:, parent], axis=-1)
    excess = np.abs(lengths - known) - (_SHARE * known + _LENGTH)
    if excess.max() <= 0:
        return None
    frame, worst = np.unravel_index(excess.argmax(), excess.shape)
    return (
        f"{int((excess > 0).any(0).sum())} of {len(known)} bones have other lengths than those of the body "
        f"that it was trained on: that of {domain['joints'][child[worst]]} is "
        f"{lengths[frame, worst] / known[worst]:.3g} times as long{' a frame later' if frame else ''}"
    )
