"""What is imported when: start-up stays instant because heavy libraries wait until they are used."""

import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import equizoo

HEAVY = [
    "torch",
    "numpy",
    "e3nn",
    "torch_geometric",
    "rdkit",
    "ase",
    "numba",
    "matplotlib",
    "huggingface_hub",
]


def imported(code: str) -> set[str]:
    """Return which heavy packages are loaded after ``code`` ran in a new process."""
    report = f"import json, sys\n{code}\nprint(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", report],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import equizoo; dir(equizoo); equizoo.__version__",
        "import equizoo; equizoo.list_models('*')",
        "from equizoo.hub import CheckpointConfig, EquizooError, model_info, register",
        "from equizoo.cli import main; main(['list'])",
        "from equizoo.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from equizoo.cli import main\ntry: main(['predict', '--help'])\nexcept SystemExit: pass",
        "from equizoo.cli import main; assert main(['info', 'no-such-model']) == 1",
    ],
)
def test_nothing_heavy_is_imported(code):
    assert imported(code) == set()


def test_predicting_imports_what_it_needs_alone():
    code = """
from equizoo.models.schnet import SchNet, SchNetConfig
from equizoo.pipelines import report
from equizoo.pipelines.properties import MoleculePropertyPipeline
from equizoo.hub.config import CheckpointConfig, Target
from equizoo.hub.domain import MoleculeDomain
model = SchNet(SchNetConfig(hidden=8, interactions=1, gaussians=4))
target, domain = Target("gap", "eV", "HOMO-LUMO gap"), MoleculeDomain(("H", "C", "O"), 9)
model.card = CheckpointConfig(1, "a", "schnet", "t", "qm9", "none", {}, (target,), domain, {})
answer, = MoleculePropertyPipeline(model)(["CCO"])
assert answer["ok"], answer
report.format_table([answer])
"""
    assert imported(code) <= {"torch", "numpy", "rdkit"}


def test_public_names_resolve():
    for name in equizoo.__all__:
        assert getattr(equizoo, name) is not None
        assert name in dir(equizoo)


def test_hub_names_resolve():
    for name in equizoo.hub.__all__:
        assert getattr(equizoo.hub, name).__name__ == name


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'equizoo' has no attribute 'certifi'"):
        equizoo.certifi  # noqa: B018


def test_version_is_that_of_the_distribution():
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert f'version = "{equizoo.__version__}"' in text


def test_the_demo_without_gradio_says_what_to_install():
    code = """
import sys
sys.modules["gradio"] = None
import equizoo.demo
try:
    equizoo.demo.launch
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert "pip install 'equizoo[app]'" in done.stdout


def test_type_checkers_know_the_pipeline_of_every_task():
    from equizoo.pipelines import TASKS

    known = {}
    for one in typing.get_overloads(equizoo.pipeline):
        task, answer = (one.__annotations__[name] for name in ("task", "return"))
        known[task] = answer
    assert known.pop("str") == "Any"
    assert known == {f"Literal[{task!r}]": path.rpartition(":")[2] for task, (path, _) in TASKS.items()}
