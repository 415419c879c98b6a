"""The base hook: the connection's extra, faults, and deadlines for every caller."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path

import certifi
import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_testerarmy.client.docket import operations as docket
from airflow_provider_testerarmy.client.http.endpoint import Timeouts
from airflow_provider_testerarmy.client.http.errors import AnswerLost, RequestInvalid
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.hooks import base, forms
from airflow_provider_testerarmy.hooks.docket import DocketHook
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.client.http.endless import ENDLESS
from tests.client.http.rawserver import RawServer, always, http_answer

RUN = "30000000-0000-4000-8000-000000000001"
BRIEF = Timeouts(connect=2.0, read=2.0, total=0.3)
#: Generous: without a limit none of these would ever end.
SOON = 5.0


class HastyTesterArmy(TesterArmyHook):
    """Waits for no answer longer than a moment."""

    def _timeouts(self, usual):
        return BRIEF


class HastyDocket(DocketHook):
    """As above."""

    def _timeouts(self, usual):
        return BRIEF


VENDORS = {
    "testerarmy": (TesterArmyHook, HastyTesterArmy, forms.TESTERARMY),
    "docket": (DocketHook, HastyDocket, forms.DOCKET),
}
QUESTIONS = {
    "testerarmy": {
        "submission": testerarmy.trigger_test_run(catalog.TEST_PASSES),
        "wait": testerarmy.get_run(RUN),
        "list": testerarmy.list_runs(),
        "cancel": testerarmy.cancel_run(RUN),
    },
    "docket": {
        "submission": docket.trigger_run(test_blueprint_ids=[181]),
        "wait": docket.get_test_run(1),
    },
}
ASKED = [(vendor, name) for vendor, questions in QUESTIONS.items() for name in questions]


@pytest.fixture(params=VENDORS)
def vendor(request):
    return request.param


@pytest.fixture
def connect(monkeypatch):
    """Make a vendor's hook with a connection of these fields."""

    def make(vendor, *, hasty=False, **fields):
        connection = {"conn_type": vendor, "password": "sk_key_of_a_test", **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))
        try:
            BaseHook.get_connection(f"{vendor}_default")
        except AirflowNotFoundException:
            # So do 3.0 and 3.1 if the extra is no JSON object.
            pytest.skip("this Airflow reports the connection as not defined")
        return VENDORS[vendor][1 if hasty else 0]()

    return make


@pytest.fixture
def warnings(capsys, monkeypatch):
    """The warnings of hooks, as if this process had not warned of anything before."""
    monkeypatch.setattr(base, "_WARNED", set())

    def lines():
        written = "".join(capsys.readouterr())
        return [line for line in written.splitlines() if "the extra of the connection" in line]

    return lines


# -- the extra


@pytest.mark.parametrize("extra", ['["a"]', '"text"', "5", "true", "NaN", "not json", '[{"verify": false}]'])
def test_an_extra_that_is_not_an_object_is_refused(connect, vendor, extra):
    """The message names the connection, and what it looks like."""
    hook = connect(vendor, extra=extra)
    for use in (lambda: hook.extra, lambda: hook.endpoint, lambda: hook.max_requests_per_second):
        with pytest.raises(RequestInvalid, match=f"{vendor}_default.*JSON object"):
            use()
    accepted, message = hook.test_connection()
    assert (accepted, "JSON object" in message) == (False, True)


@pytest.mark.parametrize("extra", [None, "", "  ", "null", "{}"])
def test_an_extra_without_anything_is_empty(connect, vendor, extra):
    """However it is written."""
    assert connect(vendor, extra=extra).extra == {}


def test_unknown_names_are_warned_of_once(connect, vendor, warnings):
    """However many hooks a process makes; the known ones are named."""
    for _ in range(3):
        hook = connect(vendor, extra='{"read_timeuot": 5, "verify": "", "Verify": null}')
        _ = hook.endpoint
    (line,) = warnings()
    assert "Verify, read_timeuot." in line
    for name in VENDORS[vendor][2].extra:
        assert name in line


def test_known_names_are_not_warned_of(connect, vendor, warnings):
    """Nor are those that older versions of Airflow wrote for a form's fields."""
    known = dict.fromkeys(VENDORS[vendor][2].extra)
    _ = connect(vendor, extra=json.dumps({**known, f"extra__{vendor}__workspace": "x"})).endpoint
    assert warnings() == []


@pytest.fixture
def masked(monkeypatch):
    """The values that Airflow was told to mask, short ones too, of which it warns."""
    values = []
    # Airflow 3 has two copies of its masker, Airflow 2 has one elsewhere.
    for module in [each for name, each in sys.modules.items() if name.endswith("secrets_masker")]:
        if hasattr(module, "SecretsMasker"):
            monkeypatch.setattr(
                module.SecretsMasker, "add_mask", lambda _self, secret, _name=None: values.append(secret)
            )
    return values


def test_known_names_hold_no_secret(connect, vendor, masked):
    """Airflow would warn of each value under five characters, in every task's log."""
    extra = dict.fromkeys(VENDORS[vendor][2].extra.keys() - {"webhook_secret"}, "acme")
    hook = connect(vendor, extra=json.dumps(extra))
    assert hook.connection
    # Airflow itself does so for a connection of a secrets backend.
    masked.clear()
    assert (hook.extra, masked) == (extra, [])


@pytest.mark.parametrize("name", ["webhook_secret", "api_key", "testerarmy_token", "extra__docket__password"])
def test_an_unknown_name_may_hold_one(connect, vendor, masked, name):
    """So Airflow masks it by its own rules."""
    extra = {name: "hunter2-hunter2", "verify": "true"}
    hook = connect(vendor, extra=json.dumps(extra))
    assert hook.connection
    masked.clear()
    assert (hook.extra, masked) == (extra, [extra])


# -- the host


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "HTTPS://qa.example/api"}, "https://qa.example/api"),
        ({"host": "Https://qa.example:8443/api/"}, "https://qa.example:8443/api"),
        ({"host": "qa.example/api", "schema": "HTTPS"}, "https://qa.example/api"),
        ({"host": "127.0.0.1:80/api", "schema": "Http"}, "http://127.0.0.1:80/api"),
        ({"host": " HTTP://localhost:80/api\n"}, "http://localhost:80/api"),
    ],
)
def test_a_scheme_in_upper_case(connect, vendor, fields, url):
    """It is the same scheme."""
    assert connect(vendor, **fields).endpoint.base_url == url


def test_plain_http_is_refused_in_upper_case_too(connect, vendor):
    """The key would be sent unencrypted."""
    with pytest.raises(RequestInvalid, match="plain http"):
        _ = connect(vendor, host="HTTP://qa.example/api").endpoint


def test_blanks_around_the_key_are_left_out(connect, vendor):
    """A key from a file has a line break at its end."""
    assert connect(vendor, password=" sk_key_1\r\n").endpoint.key == "sk_key_1"


# -- TLS


@pytest.mark.parametrize("value", [True, "true", "True", "", None, "yes"])
def test_certificates_are_verified(connect, vendor, value, warnings):
    """Unless the extra says otherwise."""
    assert connect(vendor, extra=json.dumps({"verify": value})).endpoint.verify is True
    assert warnings() == []


@pytest.mark.parametrize("value", [False, "false", "False", "no", 0, "0"])
def test_no_verification_is_warned_of_once(connect, vendor, value, warnings):
    """The key can be read by whoever is on the network."""
    for _ in range(2):
        assert connect(vendor, extra=json.dumps({"verify": value})).endpoint.verify is False
    (line,) = warnings()
    assert "not verified" in line


def test_a_bundle_is_a_path(connect, vendor):
    """Of a file or of a folder."""
    for path in (certifi.where(), ssl.get_default_verify_paths().openssl_capath):
        assert connect(vendor, extra=json.dumps({"verify": path})).endpoint.verify == path


def test_a_bundle_that_cannot_be_read_is_refused(connect, vendor, tmp_path):
    """Before anything is sent."""
    (tmp_path / "no.pem").write_text("not a certificate")
    for path in ("/no/such/bundle.pem", str(tmp_path / "no.pem"), "flase"):
        with pytest.raises(RequestInvalid, match="CA bundle"):
            _ = connect(vendor, extra=json.dumps({"verify": path})).endpoint


# -- faults

OWN = {
    "testerarmy": [{"error": "FORBIDDEN", "message": "no"}],
    "docket": [
        {"detail": "no"},
        {"message": "no"},
        {"error": "no"},
        {"errors": ["no"]},
        {"detail": [{"loc": ["header"], "msg": "no"}]},
    ],
}
FOREIGN = ["<html>no</html>", "", {"fault": "no"}, "[]", '"no"', "null"]


def fault_of(hook, question):
    put, close = hook.asker()
    try:
        with pytest.raises(ServiceFault) as caught:
            put(question)
    finally:
        close()
    return caught.value


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_key_is_rejected_in_the_services_own_format(connect, vendor, status):
    """The reason is in the message."""
    for body in OWN[vendor]:
        with RawServer(always(http_answer(body, status=status))) as server:
            fault = fault_of(connect(vendor, host=server.url), QUESTIONS[vendor]["wait"])
        assert (fault.kind, fault.may_have_effect) == (FaultKind.DENIED, False)
        assert "no" in fault.message.partition(status[:3])[2]


@pytest.mark.parametrize(
    "status",
    [
        "401 Unauthorized",
        "403 Forbidden",
        "407 Proxy Authentication Required",
        "451 Unavailable For Legal Reasons",
        "302 Found",
        "511 Network Authentication Required",
        "200 OK",
    ],
)
def test_a_proxys_page_is_a_hiccup(connect, vendor, status):
    """It says nothing about the key or the run."""
    for body in FOREIGN:
        with RawServer(always(http_answer(body, status=status))) as server:
            fault = fault_of(connect(vendor, host=server.url), QUESTIONS[vendor]["wait"])
        assert (body, fault.kind) == (body, FaultKind.TRANSIENT)


@pytest.mark.parametrize(
    ("status", "effect"),
    [
        ("200 OK", True),
        ("302 Found", True),
        ("303 See Other", True),
        ("307 Temporary Redirect", False),
        ("400 Bad Request", False),
        ("401 Unauthorized", True),
        ("403 Forbidden", True),
        ("404 Not Found", False),
        ("408 Request Timeout", True),
        ("425 Too Early", True),
        ("429 Too Many Requests", False),
        ("499 Client Closed Request", True),
        ("502 Bad Gateway", True),
        ("511 Network Authentication Required", False),
    ],
)
def test_whether_a_submission_may_have_had_an_effect(connect, vendor, status, effect):
    """A page in another format, as answer to a trigger."""
    with RawServer(always(http_answer("<html>", status=status))) as server:
        fault = fault_of(connect(vendor, host=server.url), QUESTIONS[vendor]["submission"])
    assert fault.may_have_effect is effect


def test_the_test_button_does_not_blame_the_key_for_a_proxy(connect, vendor):
    """The message points to the proxy instead."""
    with RawServer(always(http_answer("<html>", status="403 Forbidden"))) as server:
        accepted, message = connect(vendor, host=server.url).test_connection()
    assert (accepted, "rejected" in message, "proxy" in message) == (False, False, True)


# -- every caller's exchange ends


@pytest.mark.parametrize("way", ["header lines", "102 Processing"])
@pytest.mark.parametrize(("vendor", "name"), ASKED)
def test_a_question_ends(connect, vendor, name, way):
    """Submitting, waiting and cancelling in a worker and in an event loop, on the worker's way out too."""
    question = QUESTIONS[vendor][name]
    with RawServer(ENDLESS[way], pause=0.02) as server:
        hook = connect(vendor, hasty=True, host=server.url)
        begun = time.monotonic()
        faults = [fault_of(hook, question), asyncio.run(async_fault_of(hook, question))]
        assert time.monotonic() - begun < SOON
    for fault in faults:
        assert (fault.kind, fault.may_have_effect) == (FaultKind.TRANSIENT, not question.repeatable)


async def async_fault_of(hook, question):
    put, close = hook.async_asker()
    try:
        with pytest.raises(ServiceFault) as caught:
            await put(question)
    finally:
        await close()
    return caught.value


def test_a_question_by_hand_ends(connect, vendor):
    """A trigger, so that it is sent once."""
    question = QUESTIONS[vendor]["submission"]
    with RawServer(ENDLESS["102 Processing"], pause=0.02) as server:
        hook = connect(vendor, hasty=True, host=server.url)
        with pytest.raises(AnswerLost):
            hook.send(question)
        with pytest.raises(AnswerLost):
            asyncio.run(hook.asend(question))
        hook.close()


@pytest.mark.parametrize("way", ENDLESS)
def test_the_test_button_ends(connect, vendor, way, monkeypatch):
    """It occupies a thread of the API server, by default for at most 10 s."""
    assert base.QUICK.total == 10.0
    monkeypatch.setattr(base, "QUICK", BRIEF)
    with RawServer(ENDLESS[way], pause=0.02) as server:
        hook = connect(vendor, host=server.url)
        begun = time.monotonic()
        accepted, message = hook.test_connection()
        assert time.monotonic() - begun < SOON
    assert (accepted, "longer than 0.3 s" in message) == (False, True)


def test_requests_are_not_in_the_log(connect, vendor, httpx_lines):
    """Neither a worker's poll nor a trigger's; other code's requests are."""
    question = QUESTIONS[vendor]["wait"]
    with RawServer(always(http_answer("{}", status="404 Not Found"))) as server:
        hook = connect(vendor, host=server.url)
        fault_of(hook, question)
        asyncio.run(async_fault_of(hook, question))
        assert httpx_lines == []
        httpx.get(server.url, trust_env=False)
    assert len(httpx_lines) == 1


def test_every_name_of_the_extra_is_documented(vendor):
    """A form's field that the page does not name is not found."""
    page = (Path(__file__).parents[2] / "docs" / "connections.md").read_text()
    assert [name for name in VENDORS[vendor][2].extra if f"`{name}`" not in page] == []
