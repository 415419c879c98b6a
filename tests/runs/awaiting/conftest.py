from __future__ import annotations

import random

import pytest


@pytest.fixture(autouse=True)
def _same_jitter_each_time():
    random.seed(7)
