"""The small data set that models are tested on."""

import pytest
import torch

from benchmark.data import load_dataset_config
from benchmark.data.files import data_dir
from benchmark.data.images import ImageData, load_images


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> ImageData:
    return load_images(load_dataset_config("digits"), data_dir())
