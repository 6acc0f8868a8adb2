"""``python -m equizoo.demo.space FOLDER``: the files of a Space that runs the demo.

A Space is a repository with ``app.py``, ``requirements.txt`` and a ``README.md`` whose front matter says how
to run it; see https://huggingface.co/docs/hub/spaces-config-reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from equizoo._replacing import replacing

_APP = '''"""The demo of equizoo."""

from equizoo.demo import launch

if __name__ == "__main__":
    launch()
'''
_README = """---
title: equizoo
emoji: 🧭
colorFrom: green
colorTo: indigo
sdk: gradio
sdk_version: {gradio}
python_version: "3.11"
app_file: app.py
pinned: false
license: mit
short_description: Pretrained relaxed-equivariant networks
---

# equizoo

Molecules, point clouds and particles, and a lab in which the symmetry of each network can be tested.
"""


def files(requirement: str, gradio: str) -> dict[str, str]:
    """Return the text of each file of a Space.

    Args:
        requirement: How pip installs equizoo there, such as ``"equizoo[molecules,points,fast,app]"`` or the
            address of a wheel.
        gradio: Version of gradio that the Space runs.

    Example:
        >>> files("equizoo[app]", "6.31.0")["README.md"].splitlines()[6]
        'sdk_version: 6.31.0'
    """
    requirements = f"--extra-index-url https://download.pytorch.org/whl/cpu\n{requirement}\n"
    return {"README.md": _README.format(gradio=gradio), "requirements.txt": requirements, "app.py": _APP}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files of a Space into a folder."""
    parser = argparse.ArgumentParser(prog="python -m equizoo.demo.space", description=__doc__)
    parser.add_argument("folder", type=Path, help="the Space's repository; files of these names are replaced")
    parser.add_argument(
        "--requirement",
        default="equizoo[molecules,points,fast,app]",
        help="how pip installs equizoo there (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(options.requirement, metadata.version("gradio")).items():
        with replacing(options.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
