"""Groups, how they act on features, and how to measure a violation of the symmetry."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "element": ("Element",),
    "groups": (
        "C4",
        "E3",
        "O3",
        "SE3",
        "SO2",
        "SO3",
        "Group",
        "Permutations",
        "Translations",
        "group",
    ),
    "features": (
        "DirectSum",
        "FeatureType",
        "Images",
        "Irreps",
        "Labels",
        "Points",
        "Scalars",
        "Trajectories",
        "Vectors",
    ),
    "measure": ("EquivarianceError", "equivariance_error", "layer_equivariance_errors"),
    "derivative": ("lie_derivative",),
    "gap": ("GapEstimate", "symmetry_gap", "witness_gap"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE)


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
