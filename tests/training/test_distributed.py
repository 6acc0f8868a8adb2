"""Two processes that share each batch train as one process does with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml

from equizoo.training.loop import train
from equizoo.training.runfolder import RunFolder


def test_two_gloo_processes_equal_one(tiny, tmp_path):
    config = tiny(budget__epochs=2, data__targets=["alpha", "gap", "zpve"])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config.to_dict()))
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "equizoo.training", str(recipe), "--out", str(tmp_path / "two"), "--quiet"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    train(config, tmp_path / "one", progress=False)
    one, two = (RunFolder(tmp_path / name).read_metrics() for name in ("one", "two"))
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for key in a.keys() - {"seconds", "evaluation_seconds"}:
            assert b[key] == pytest.approx(a[key], rel=2e-5, abs=1e-7), key
