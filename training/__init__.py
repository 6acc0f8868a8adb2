"""The training engine: a recipe in, a run folder and checkpoints out.

``python -m equizoo.training RECIPE --set optimiser.lr=1e-3 --out runs/NAME`` trains (see ``--help``),
``python -m equizoo.training.evaluate``, ``….calibrate``, ``….robustness`` and ``….publish`` do the rest.
"""

from __future__ import annotations

from equizoo._lazy import lazy_names

__all__ = ["ConfigError", "Diverged", "RunConfig", "RunResult", "load_recipe", "train"]

_HOMES = {
    "ConfigError": "equizoo.training.config",
    "Diverged": "equizoo.training.trainer",
    "RunConfig": "equizoo.training.config",
    "RunResult": "equizoo.training.loop",
    "load_recipe": "equizoo.training.config",
    "train": "equizoo.training.loop",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
