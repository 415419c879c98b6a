"""The rate that a response still allows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_testerarmy.client.http.rate_limit import requests_per_second

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "rate"),
    [
        ({"ratelimit-limit": "600", "ratelimit-remaining": "300", "ratelimit-reset": "10"}, 30),
        ({"x-ratelimit-remaining": "300", "x-ratelimit-reset": "10"}, 30),
        ({"x-ratelimit-remaining": "300", "x-ratelimit-reset": str(EPOCH + 10)}, 30),
        ({"ratelimit": "limit=600, remaining=300, reset=10"}, 30),
        ({"ratelimit": '"default";r=300;t=10'}, 30),
        ({"ratelimit": '"burst";r=50;t=1, "hour";r=7200;t=3600'}, 2),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "10"}, 0),
        ({"ratelimit-remaining": "5", "ratelimit-reset": "0"}, 5),
        ({"ratelimit": '"default";r=300;t=10', "x-ratelimit-remaining": "5", "x-ratelimit-reset": "5"}, 1),
    ],
)
def test_the_rate_is_what_remains_until_the_reset(headers, rate):
    assert requests_per_second(headers, NOW) == rate


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit-limit": "600"},
        {"ratelimit-remaining": "300"},
        {"ratelimit-remaining": "many", "ratelimit-reset": "10"},
        {"ratelimit-remaining": "-1", "ratelimit-reset": "10"},
        {"ratelimit-remaining": "9" * 190, "ratelimit-reset": "1"},
        {"ratelimit-remaining": "٣", "ratelimit-reset": "1"},
        {"ratelimit": '"default";r=99999999999;t=1'},
        {"ratelimit": "remaining=1"},
        {"ratelimit": ";r" * 90},
    ],
)
def test_anything_else_says_nothing(headers):
    assert requests_per_second(headers, NOW) is None


def test_a_reset_that_is_a_time_needs_the_time_of_the_service():
    headers = {"x-ratelimit-remaining": "300", "x-ratelimit-reset": str(EPOCH + 10)}
    assert requests_per_second(headers, None) is None
