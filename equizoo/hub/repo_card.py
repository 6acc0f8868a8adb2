"""The card of a Hub repository: the model card under the repository's name, with digests and plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from equizoo.hub.card_published import read_published
from equizoo.hub.card_text import render_card
from equizoo.hub.config import CheckpointConfig
from equizoo.hub.digests import FENCE


def bundled_card(config: CheckpointConfig, results: Mapping[str, Any]) -> str:
    """Return the card of a checkpoint as :mod:`equizoo.hub.cards` writes it.

    Raises:
        CheckpointError: See :func:`equizoo.hub.card_text.render_card`.
    """
    return render_card(config, results, read_published(_published()))


def repo_card(
    config: CheckpointConfig, results: Mapping[str, Any], repo: str, digests: Mapping[str, str]
) -> str:
    """Return the card of a checkpoint as it is shown on the Hub.

    Args:
        config: Its ``config.json``.
        results: Its ``results.json``; empty where nothing was measured on these weights, and then the card
            states no error.
        repo: ``"org/name"``, under which the examples load it.
        digests: SHA-256 of each file by its path in the repository; written into the front matter.

    Returns:
        Markdown with a YAML front matter; plots among the files are shown at its end.

    Raises:
        CheckpointError: See :func:`equizoo.hub.card_text.render_card`.
    """
    renamed = replace(config, name=repo), {**results, "name": repo}
    card = bundled_card(*renamed) if results else _bare(config, repo)
    _, head, text = card.split(FENCE, 2)
    data = yaml.safe_load(head) | {"equizoo": {"name": config.name, "sha256": dict(sorted(digests.items()))}}
    return f"{FENCE}{yaml.safe_dump(data, allow_unicode=True)}{FENCE}{text}{_plots(digests)}"


def _bare(config: CheckpointConfig, repo: str) -> str:
    data = {
        "library_name": "equizoo",
        "tags": ["equizoo", config.family, config.task, config.dataset, "equivariance"],
        "datasets": [config.dataset],
    }
    targets = "\n".join(f"- `{t.name}` [{t.unit}], {t.description}" for t in config.targets)
    return f"""{FENCE}{yaml.safe_dump(data)}{FENCE}
# {repo}

A `{config.family}` network for {config.task}, made from the equizoo checkpoint `{config.name}`. Nothing was
measured on these weights: their errors are not known.

```python
import equizoo
model = equizoo.from_pretrained("{repo}", variant="{next(iter(config.variants))}")
```

Targets:

{targets}
"""


def _plots(paths: Iterable[str]) -> str:
    plots = sorted(path for path in paths if path.startswith("plots/"))
    shown = "\n\n".join(f"![{Path(path).stem}]({path})" for path in plots)
    return f"\n## Plots of the training run\n\n{shown}\n" if plots else ""


def _published() -> Path:
    return Path(str(resources.files("equizoo.model_cards").joinpath("published.json")))
