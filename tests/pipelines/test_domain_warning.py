"""Inputs outside the training domain: a call whose answer has no room for a flag warns once, and says why."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from equizoo.pipelines import DomainWarning
from tests.pipelines import cloud_samples, test_motion, test_particles


def particles(*sizes: int) -> tuple[Callable, list]:
    """Return the pipeline for 5 particles, and one system a size."""
    predict = test_particles.build()
    return predict, [tuple(array[0] for array in test_particles.systems(1, size)) for size in sizes]


def changed_systems() -> tuple[np.ndarray, ...]:
    """Return six systems, the second, third and last unlike the training set."""
    pos, vel, charge = test_particles.systems(6)
    charge[1, 0], charge[5, 0], vel[2, 0] = 2.0, 2.0, 50.0
    return pos, vel, charge


def moving(heights: list[float]) -> np.ndarray:
    """Return (B, 2, 31, 3) frames of bodies, as many times as high as those of the training set."""
    return np.stack([test_motion.recording(2) * [1, height, 1] for height in heights])


def only(call: Callable[..., Any], *inputs: Any, **options: Any) -> warnings.WarningMessage:
    """Return the only warning of a call."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call(*inputs, **options)
    assert len(found) == 1
    assert found[0].category is DomainWarning
    return found[0]


def test_particles_warn_once_and_say_why() -> None:
    predict, (usual, many) = particles(5, 7)
    assert str(only(predict, *many).message) == (
        "1 of 1 systems outside the training domain, where the test error was not measured: "
        "system 1: 7 particles, and the model was trained on 5"
    )
    text = str(only(predict, *changed_systems()).message)
    assert text.startswith("3 of 6 systems outside")
    assert "system 2, system 6: a charge other than +1 or −1" in text
    assert "; system 3: a speed above 4.7" in text
    assert predict(*usual).shape == (5, 3)
    assert predict.forecast(*many).in_domain == (False,)


def test_bodies_warn_once_and_say_why() -> None:
    predict = test_motion.MotionForecastingPipeline(test_motion.Drift())
    text = str(only(predict, moving([1, 2, 1])).message)
    assert text.startswith("1 of 3 bodies outside the training domain")
    assert "body 2: a body that is 56 high along y" in text
    many = str(only(predict, moving([2, 3, 4, 5])).message)
    assert many.count("high along y") == 3 and many.endswith("; …")
    same = str(only(predict, moving([2] * 5)).message)
    assert "body 1, body 2, body 3, …: a body that is 56" in same
    assert predict(moving([1, 1])).shape == (2, 5, 31, 3)
    assert not predict.forecast(moving([2])[0]).in_domain


def test_partial_variants_warn_of_what_they_know() -> None:
    turned = test_motion.recording(degrees=90)
    predict, partial = (
        test_motion.MotionForecastingPipeline(test_motion.Drift(relaxed)) for relaxed in (False, True)
    )
    assert predict(turned).shape == (5, 31, 3)
    assert "moves 90° off the direction" in str(only(partial, turned).message)


def test_clouds_warn_once_and_say_why() -> None:
    classify = cloud_samples.build()
    small = cloud_samples.cloud(50)
    assert str(only(classify, small, top_k=2).message).endswith(
        "cloud 1: 50 points, and the model was trained on 64"
    )
    text = str(only(classify, [small, cloud_samples.cloud(), small]).message)
    assert text.startswith("2 of 3 clouds outside") and "cloud 1, cloud 3: 50 points" in text
    assert len(classify([cloud_samples.cloud(), cloud_samples.cloud(900)])) == 2
    assert not classify.classify(small)[0].record()["in_domain"]


def test_the_warning_points_at_the_line_of_the_call() -> None:
    predict, (many,) = particles(7)
    classify, body = cloud_samples.build(), test_motion.MotionForecastingPipeline(test_motion.Drift())
    for call, inputs in ((predict, many), (classify, (cloud_samples.cloud(50),)), (body, (moving([2])[0],))):
        with pytest.warns(DomainWarning) as found:
            call(*inputs)
        assert [warning.filename for warning in found] == [__file__]
