"""A response that is parsed straight from its text means the same as one that is decoded first."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.client.http.answer import Head, read_answer
from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.errors import ProtocolError, RequestInfo
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy

LIST = testerarmy.list_run_states()
ONE = testerarmy.get_run_state("run-1")
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MOMENTS = st.datetimes().map(lambda when: when.isoformat()) | st.just("2026-02-11T12:00:00.5Z") | ANY
RUNS = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=8) | ANY, "status": st.sampled_from(["running", "completed"]) | ANY},
    optional={
        "output": st.fixed_dictionaries(
            {}, optional={"result": st.sampled_from(["PASS", "FAILED"]) | ANY, "type": ANY, "steps": ANY}
        )
        | ANY,
        "completedAt": MOMENTS,
        "completed_at": MOMENTS,
        "other": ANY,
    },
)
PAGES = st.fixed_dictionaries({"runs": st.lists(RUNS, max_size=4) | ANY}, optional={"nextCursor": ANY})


def read(operation: Operation[Any], text: bytes) -> Any:
    """What a text means: its value, or that it has none."""
    endpoint = Endpoint("https://api.example.com", "sk_key")
    request = RequestInfo(operation.name, "GET", "https://api.example.com/runs")
    try:
        return read_answer(operation, endpoint, request, Head(200, "OK", {}), bytearray(text)).value
    except ProtocolError as error:
        return str(error)


def decoded(operation: Operation[Any]) -> Operation[Any]:
    return replace(operation, parse_text=None)


@given(st.one_of(PAGES, ANY))
def test_a_page_means_the_same_either_way(page: Any) -> None:
    text = json.dumps(page).encode()
    assert read(LIST, text) == read(decoded(LIST), text)


@given(st.one_of(RUNS, ANY))
def test_a_run_means_the_same_either_way(run: Any) -> None:
    text = json.dumps(run).encode()
    assert read(ONE, text) == read(decoded(ONE), text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"\xff",
        b'{"runs": [], "runs": [{"id": "1", "status": "running"}]}',
        b'{"runs": [{"id": "1", "status": "\\ud83d"}]}',
        b'{"runs": [{"id": "\xf0\x9f\x98\x80", "status": "running", "completedAt": 1e400}]}',
        b'{"runs": [{"id": "1", "status": "running", "other": NaN}]}',
        b'\xef\xbb\xbf{"runs": []}',
        '{"runs": []}'.encode("utf-16"),
        b'{"runs": [], "other": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"runs": [], "other": ' + b"9" * 5000 + b"}",
        b'{"runs": [' + b"{}," * 40_000 + b"{}]}",
        b'{"runs": [], "other": [' + b"1," * 60_000 + b"1]}",
    ],
    ids=range(14),
)
def test_an_odd_text_means_the_same_either_way(text: bytes) -> None:
    assert read(LIST, text) == read(decoded(LIST), text)


def test_the_shortcut_is_taken() -> None:
    """Otherwise the other tests compare one way with itself."""
    marked = Operation("list", "GET", "/", parse=lambda _: "decoded", parse_text=lambda _: "text")
    assert read(marked, b"{}") == "text"
    assert read(marked.then(str.upper), b"{}") == "TEXT"
    assert all(operation.parse_text for operation in (LIST, ONE))
