"""Pretrained relaxed-equivariant networks: checkpoints, an inference API, and the recipes that made them.

Nothing heavy is imported with the package: each public name is imported when it is first used.

Example:
    >>> import equizoo
    >>> "from_pretrained" in dir(equizoo)
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from equizoo._lazy import lazy_names

__version__ = "0.1.0"

__all__ = [
    "DomainWarning",
    "__version__",
    "equivariance_error",
    "from_pretrained",
    "list_models",
    "model_info",
    "pipeline",
    "project",
    "relax",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "DomainWarning": "equizoo.pipelines",
        "equivariance_error": "equizoo.symmetry.measure",
        "from_pretrained": "equizoo.hub.loading",
        "list_models": "equizoo.hub.registry",
        "model_info": "equizoo.hub.info",
        "pipeline": "equizoo.pipelines",
        "project": "equizoo.relaxation.project",
        "relax": "equizoo.relaxation.layer",
    },
)

if TYPE_CHECKING:
    from equizoo.hub.info import model_info
    from equizoo.hub.loading import from_pretrained
    from equizoo.hub.registry import list_models
    from equizoo.pipelines import DomainWarning, pipeline
    from equizoo.relaxation.layer import relax
    from equizoo.relaxation.project import project
    from equizoo.symmetry.measure import equivariance_error
