"""What every test shares."""

import pytest
import torch

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


@pytest.fixture(autouse=True)
def subnormal_numbers():
    """Give subnormal numbers back to the tests that follow one which trained."""
    yield
    torch.set_flush_denormal(False)
