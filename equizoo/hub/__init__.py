"""Checkpoints in and out: the bundled zoo, local folders, the Hub, and exported programs.

A checkpoint is a folder with ``config.json`` and one ``<variant>/model.safetensors`` a variant; nothing else
is ever read to load a model. Names are imported when they are first used, so that listing models needs no
torch.
"""

from __future__ import annotations

from equizoo._lazy import lazy_names

__all__ = [
    "CheckpointConfig",
    "EquizooError",
    "ModelInfo",
    "from_pretrained",
    "list_models",
    "load_checkpoint",
    "model_info",
    "register",
    "save_checkpoint",
]

_HOMES = {
    "CheckpointConfig": "equizoo.hub.config",
    "EquizooError": "equizoo.hub.errors",
    "ModelInfo": "equizoo.hub.info",
    "from_pretrained": "equizoo.hub.loading",
    "list_models": "equizoo.hub.registry",
    "load_checkpoint": "equizoo.hub.checkpoint",
    "model_info": "equizoo.hub.info",
    "register": "equizoo.hub.registry",
    "save_checkpoint": "equizoo.hub.checkpoint",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
