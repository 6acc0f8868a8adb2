"""How far the probabilities of a classifier can be believed, and one number that makes them better.

References:
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017:
    Section 2 for the expected calibration error, Section 4.2 for the temperature.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

BINS = 15
_LOWEST, _HIGHEST = 0.01, 100.0


def fit_temperature(logits: Tensor, label: Tensor) -> float:
    """Return the temperature by which logits are divided for the lowest negative log likelihood.

    The negative log likelihood is convex in the inverse temperature; the zero of its derivative is found by
    bisection.

    Args:
        logits: (S, C) logits of samples that were not trained on.
        label: (S,) true classes.

    Returns:
        The temperature, within 0.01 to 100; an end of that range if all samples are right, or none is.

    Example:
        >>> import torch
        >>> sure = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
        >>> temperature = fit_temperature(sure, torch.tensor([0, 0, 0, 1]))
        >>> [round(x, 4) for x in (sure / temperature).softmax(1)[0].tolist()]
        [0.75, 0.25]
    """
    logits = logits.double()
    true = logits.gather(1, label[:, None])[:, 0]

    def slope(inverse: float) -> float:
        mean = ((inverse * logits).softmax(1) * logits).sum(1)
        return float((mean - true).mean())

    low, high = 1 / _HIGHEST, 1 / _LOWEST
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / (low * high) ** 0.5


def calibration_error(logits: Tensor, label: Tensor, bins: int = BINS) -> float:
    """Return the expected calibration error: how far confidence and accuracy are apart, on average.

    Args:
        logits: (S, C) logits, divided by a temperature or not.
        label: (S,) true classes.
        bins: Number of equal intervals of the largest probability.

    Returns:
        The mean over samples of |accuracy − mean confidence| of their interval, in 0 to 1.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
        >>> calibration_error(logits, torch.tensor([0, 0])), calibration_error(logits, torch.tensor([0, 1]))
        (0.5, 0.0)
    """
    confidence, answer = logits.double().softmax(1).max(1)
    interval = (confidence * bins).long().clamp(max=bins - 1)
    surplus = (answer == label).double() - confidence
    return float(surplus.new_zeros(bins).index_add(0, interval, surplus).abs().sum() / len(label))


def calibration(logits: Tensor, label: Tensor, temperature: float) -> dict[str, float]:
    """Return calibration error and negative log likelihood before and after a temperature.

    Args:
        logits: (S, C) logits of test samples.
        label: (S,) true classes.
        temperature: What the logits are divided by.

    Returns:
        ``ece`` and ``nll`` [nat], and ``ece_scaled`` and ``nll_scaled`` with the temperature.
    """
    logits, scaled = logits.double(), logits.double() / temperature
    return {
        "ece": calibration_error(logits, label),
        "ece_scaled": calibration_error(scaled, label),
        "nll": float(functional.cross_entropy(logits, label)),
        "nll_scaled": float(functional.cross_entropy(scaled, label)),
    }
