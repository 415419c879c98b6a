"""Certificates, proxies and their environment variables, as documented."""

from __future__ import annotations

import os
import time

import pytest

from airflow_provider_testerarmy.client.http import sender as senders
from airflow_provider_testerarmy.client.http.endpoint import Timeouts
from airflow_provider_testerarmy.client.http.errors import AnswerLost, NotSent
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.client.http.endless import ENDLESS
from tests.client.http.rawserver import RawServer, always, http_answer
from tests.client.http.tls import TlsServer, write_bundle

GET = testerarmy.list_projects()
TRIGGER = testerarmy.trigger_test_run(catalog.TEST_PASSES)
PROJECTS = http_answer({"projects": []})
BRIEF = Timeouts(connect=2.0, read=2.0, total=0.3)
ENVIRONMENT = [
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *(case for name in ("http", "https", "all", "no") for case in (f"{name}_proxy", f"{name.upper()}_PROXY")),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Nothing set by whoever runs the tests; a context that was made before is not used again."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    senders._tls_context.cache_clear()
    yield monkeypatch
    senders._tls_context.cache_clear()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A certificate of this machine that signs itself, with its key beside it."""
    return write_bundle(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(bundle):
    with TlsServer(bundle, always(PROJECTS)) as server:
        yield server


def test_an_unknown_authority_is_not_trusted(connect, server):
    """The key is not sent."""
    with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
        connect(server.url, policy=ONCE).send(GET)
    assert server.requests == []


def test_a_bundle_is_trusted(connect, server, bundle):
    """The path of the connection's extra."""
    assert connect(server.url, verify=str(bundle)).send(GET) == ()


def test_verification_can_be_turned_off(connect, server):
    """The connection's extra can turn it off."""
    assert connect(server.url, verify=False).send(GET) == ()


def test_ssl_cert_file_is_trusted(connect, server, bundle, environment):
    """It takes the place of certifi's authorities."""
    environment.setenv("SSL_CERT_FILE", str(bundle))
    assert connect(server.url).send(GET) == ()


def test_a_renewed_ssl_cert_file_is_loaded(connect, server, bundle, environment, tmp_path):
    """A process that runs for weeks has loaded the old one."""
    named = tmp_path / "authorities.pem"
    named.write_bytes(write_bundle(tmp_path).read_bytes())
    os.utime(named, (1, 1))
    environment.setenv("SSL_CERT_FILE", str(named))
    with pytest.raises(NotSent):
        connect(server.url, policy=ONCE).send(GET)
    named.write_bytes(bundle.read_bytes())
    assert connect(server.url).send(GET) == ()


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_bundles_of_other_libraries_are_not_used(connect, server, bundle, environment, name):
    """httpx does not read them."""
    environment.setenv(name, str(bundle))
    with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
        connect(server.url, policy=ONCE).send(GET)


@pytest.mark.parametrize("way", ENDLESS)
def test_an_answer_over_tls_that_never_ends_is_given_up(connect, bundle, way):
    """It ends at the deadline, like one without TLS."""
    begun = time.monotonic()
    timeouts = Timeouts(connect=2.0, read=2.0, total=0.6)
    with TlsServer(bundle, ENDLESS[way], pause=0.02) as server, pytest.raises(AnswerLost, match=r"0\.6 s"):
        connect(server.url, policy=ONCE, timeouts=timeouts, verify=str(bundle)).send(TRIGGER)
    assert time.monotonic() - begun < 5


# -- proxies

OUTSIDE = "http://service.invalid/api/v1"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_used(connect, environment, name):
    """For every host but this machine's loopback."""
    with RawServer(always(PROJECTS)) as proxy:
        environment.setenv(name, proxy.url.removesuffix("/api/v1"))
        assert connect(OUTSIDE, allow_http=True).send(GET) == ()
    assert proxy.requests[0].startswith(b"GET http://service.invalid/api/v1/projects HTTP/1.1\r\n")


def test_https_goes_through_a_proxy_as_a_tunnel(connect, environment):
    """The proxy sees the host's name alone; what it refuses was not sent."""
    with RawServer(always(http_answer("no", status="403 Forbidden"))) as proxy:
        environment.setenv("HTTPS_PROXY", proxy.url.removesuffix("/api/v1"))
        with pytest.raises(NotSent, match="403"):
            connect("https://service.invalid/api/v1", policy=ONCE).send(TRIGGER)
    assert proxy.requests[0].startswith(b"CONNECT service.invalid:443 HTTP/1.1\r\n")
    assert b"uthorization" not in proxy.requests[0]


def test_no_proxy_is_obeyed(connect, environment):
    """The host is contacted directly."""
    with RawServer(always(PROJECTS)) as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        environment.setenv("NO_PROXY", "service.invalid")
        with pytest.raises(NotSent):
            connect(OUTSIDE, allow_http=True, policy=ONCE).send(GET)
    assert proxy.requests == []


@pytest.mark.parametrize("way", ENDLESS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_never_ends_is_given_up(connect, environment, scheme, way):
    """The deadline includes the proxy's tunnel."""
    begun = time.monotonic()
    with RawServer(ENDLESS[way], pause=0.02) as proxy:
        environment.setenv("ALL_PROXY", proxy.url.removesuffix("/api/v1"))
        with pytest.raises((AnswerLost, NotSent)):
            connect(f"{scheme}://service.invalid/api/v1", allow_http=True, policy=ONCE, timeouts=BRIEF).send(
                TRIGGER
            )
    assert time.monotonic() - begun < 5
