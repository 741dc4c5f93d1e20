"""One torch thread unless asked otherwise, so that workers on two cores do not fight."""

import os

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def torch_threads():
    """Run torch on OMP_NUM_THREADS threads for the session, one without it, then as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    yield
    torch.set_num_threads(before)
