from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from airflow_provider_testerarmy.client.http.endpoint import Endpoint, Timeouts, is_loopback
from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy

KEY = "sk_live_0123456789"
URL = "https://tester.army/api/v1"


@pytest.mark.parametrize(
    "url",
    [
        "https://tester.army/api/v1",
        "https://tester.army:8443/api/v1",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://127.9.9.9",
        "http://[::1]:8080",
    ],
)
def test_usable_urls(url):
    """https anywhere, plain http on this machine."""
    assert Endpoint(url, KEY).base_url == url


def test_a_url_is_kept_without_its_slash():
    """Paths begin with one."""
    assert Endpoint(f" {URL}// ", KEY).base_url == URL


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "is not a base URL"),
        ("tester.army", "is not a base URL"),
        ("https://", "is not a base URL"),
        ("ftp://tester.army", "is not a base URL"),
        ("file:///etc/passwd", "is not a base URL"),
        ("https://tester.army:port", "is not a URL"),
        ("https://tester.army:99999", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://tester.army/?key=x", "no user, password, query or fragment"),
        ("https://tester.army/#x", "no user, password, query or fragment"),
        ("http://tester.army", "plain http"),
        ("http://127.0.0.1.evil.example", "plain http"),
        ("http://localhost.evil.example", "plain http"),
        ("http://10.0.0.1", "plain http"),
    ],
)
def test_unusable_urls(url, message):
    """Refused before anything is sent, with what to change."""
    with pytest.raises(RequestInvalid, match=message):
        Endpoint(url, KEY)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@tester.army",
        "http://me:hunter2@tester.army",
        "ftp://me:hunter2@tester.army",
        "https://me:hunter2@tester.army:port",
        "https://me:hunter2@",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_shown(url):
    """Otherwise every error would show it."""
    with pytest.raises(RequestInvalid) as caught:
        Endpoint(url, KEY)
    assert "hunter2" not in str(caught.value)


def test_plain_http_may_be_allowed():
    """Whoever says so in the connection may send the key unencrypted."""
    assert Endpoint("http://proxy.internal", KEY, allow_http=True).base_url == "http://proxy.internal"


@pytest.mark.parametrize("key", ["", "   ", "\n"])
def test_an_empty_key_is_refused(key):
    """The message says where the key belongs."""
    with pytest.raises(RequestInvalid, match="password of the connection"):
        Endpoint(URL, key)


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Evil: 1", f"{KEY}\n{KEY}", "sk live", "sk_é", "sk_\x00"])
def test_a_key_that_no_header_can_carry_is_refused(key):
    """A line break from copying is said, and not sent as a second header; the key is not shown."""
    with pytest.raises(RequestInvalid, match="line break") as caught:
        Endpoint(URL, key)
    assert key.strip() not in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\r\n", f" {KEY}", f"\t{KEY} \n", f"{KEY}\u00a0"])
def test_blanks_around_a_key_are_left_out(key):
    """Copying from a file or a page adds them."""
    endpoint = Endpoint(URL, key)
    assert endpoint.headers()["Authorization"] == f"Bearer {KEY}"
    assert endpoint.scrub(f"a{KEY}b") == "a***b"


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://tester.army/api/v1", "https://tester.army/api/v1"),
        ("Https://tester.army/API/v1/", "https://tester.army/API/v1"),
        ("HTTP://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("HTTP://LOCALHOST:8080", "http://LOCALHOST:8080"),
        ("http://localhost.:8080", "http://localhost.:8080"),
    ],
)
def test_a_scheme_in_upper_case_is_the_same_scheme(url, normal):
    """The path is left as it is."""
    assert Endpoint(url, KEY).base_url == normal


def test_the_key_is_shown_nowhere():
    """Neither an endpoint nor an operation shows it, and an endpoint does not pickle."""
    endpoint = Endpoint(URL, KEY)
    for shown in (repr(endpoint), str(endpoint), f"{[endpoint]}", repr(replace(endpoint, allow_http=True))):
        assert KEY not in shown
    with pytest.raises(TypeError, match="key"):
        pickle.dumps(endpoint)
    operation = testerarmy.list_runs()
    assert KEY not in repr(operation)
    assert KEY.encode() not in pickle.dumps(operation)


def test_an_endpoint_can_be_made_from_another():
    """With other patience, for a quick look."""
    quick = replace(Endpoint(URL, KEY), timeouts=Timeouts(total=1))
    assert (quick.timeouts.total, quick.key) == (1, KEY)


def test_headers_of_another_vendor():
    """Which header carries the key is the vendor's choice."""
    headers = Endpoint(URL, KEY, key_header="X-API-Key", key_prefix="").headers()
    assert headers["X-API-Key"] == KEY
    assert "Authorization" not in headers


def test_scrub():
    """The key is taken out of a text, wherever it is."""
    assert Endpoint(URL, KEY).scrub(f"a{KEY}b{KEY}") == "a***b***"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("localhost.evil.example", False),
        ("127.0.0.1", True),
        ("::1", True),
        ("example.com", False),
        ("", False),
    ],
)
def test_loopback(host, loopback):
    """This machine, by name or by address."""
    assert is_loopback(host) is loopback
