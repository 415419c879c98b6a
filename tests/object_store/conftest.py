"""A server with S3's API on a real socket, and Airflow's connection to it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest

from tests.lifecycle.conftest import connections
from tests.object_store.server import KEYS, S3Server

__all__ = ["connections"]

BUCKET = "reports"


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def endpoint(server: S3Server) -> str:
    return server.url


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """An empty bucket, seen by a client that shares nothing with Airflow's."""
    extra = {"endpoint_url": endpoint, "region_name": KEYS["region_name"]}
    login, password = KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"]
    connection = {"conn_type": "aws", "login": login, "password": password, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    found = boto3.resource("s3", endpoint_url=endpoint, **KEYS).Bucket(BUCKET)
    found.create()
    yield found
    found.objects.all().delete()
    found.delete()
