"""When the compiled CPU kernels may take the place of torch operations."""

from __future__ import annotations

import functools
import importlib.util

import torch
from torch import Tensor


def kernels_apply(*tensors: Tensor) -> bool:
    """Say whether the kernels apply: floats of one type on a CPU, numba at hand, and no tracing.

    Example:
        >>> kernels_apply(torch.ones(2), torch.ones(2, dtype=torch.float64))
        False
    """
    dtype = tensors[0].dtype
    return (
        dtype in (torch.float32, torch.float64)
        and all(x.dtype == dtype and x.device.type == "cpu" for x in tensors)
        and not torch.compiler.is_compiling()
        and not torch._C._functorch.maybe_current_level()
        and _has_numba()
    )


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None
