"""Two hundred hostile inputs to the functions behind the page: refused or answered, in time, no trace."""

import re
import time

import gradio as gr
import pytest

from equizoo.demo import tab_clouds, tab_molecules
from tests.demo import hostile

TRACE = re.compile(r"Traceback|File \"|site-packages|line \d+, in |\.py\b|could not be handled")
SECONDS = 10.0


def survives(show, *inputs) -> bool:
    """Return whether an input was answered; check what is said if not, and the time."""
    start = time.perf_counter()
    try:
        shown = show(*inputs)
        assert "<img" not in str(shown) and "<script" not in str(shown)
        return True
    except gr.Error as error:
        assert not TRACE.search(str(error)) and "<" not in str(error.message), (inputs, error)
        return False
    finally:
        assert time.perf_counter() - start < SECONDS, inputs


@pytest.mark.parametrize("text", [hostile.smiles(140)[k::14] for k in range(14)], ids=lambda _: "")
def test_smiles(text):
    answered = [survives(tab_molecules.show, one, None, "schnet-qm9-ace", 0) for one in text]
    assert sum(answered) < len(answered)


def test_files(tmp_path):
    good = tmp_path / "good.off"  # the first mesh brings its reader's imports
    good.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    tab_clouds.show("chair", str(good), 0, "vn-dgcnn-modelnet40-ace", "equivariant", 0)
    for path in hostile.files(tmp_path, 60):
        if path.suffix in (".xyz", ".sdf"):
            survives(tab_molecules.show, "", str(path), "schnet-qm9-ace", 0)
        if path.suffix != ".sdf":
            model = ("vn-dgcnn-modelnet40-ace", "equivariant", 0)
            survives(tab_clouds.show, "chair", str(path), 0, *model)
    assert survives(tab_molecules.show, "CCO", None, "schnet-qm9-ace", 0)
