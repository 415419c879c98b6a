from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.client.docket.webhooks import (
    DeliveryRepeated,
    OutsideReplayWindow,
    SeenDeliveries,
    SignatureMismatch,
    WebhookMalformed,
    WebhookRefused,
    verify,
)

SECRET = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
SIGNED_AT = 1_640_995_200
BODY = (
    b'{"event":"test_group_run_failed","payload":{"id":12345,'
    b'"url":"https://app.docketqa.com/dashboard/grouprun/12345","status":"failed",'
    b'"tests_ran":3,"tests_passed":2,"tests_failed":1,"tests_stopped":0,"tests":[]}}'
)
#: Made with: printf '%s.%s' "$TIME" "$BODY" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$SECRET"
DIGEST = "8d13de27e8b20d9a3cf52b1511ea03052b6daee018a15b27fb1896543364ca06"
HEADER = f"v1,t={SIGNED_AT},s={DIGEST}"


def sign(body, signed_at=SIGNED_AT, secret=SECRET):
    """Return the header for a body, by the recipe of the vendor's reference."""
    payload = f"{signed_at}.".encode() + body
    digest = hmac.new(bytes.fromhex(secret), payload, hashlib.sha256).hexdigest()
    return f"v1,t={signed_at},s={digest}"


def check(body=BODY, header=HEADER, secret=SECRET, now=SIGNED_AT, **options):
    """Verify a delivery; by default a good one."""
    return verify(body, header, secret, now=now, **options)


def test_a_genuine_delivery_is_read():
    """Against a signature that another program made."""
    event = check()
    assert (event.event, event.payload.id, event.payload.status) == ("test_group_run_failed", 12345, "failed")
    assert (event.payload.tests_ran, event.payload.tests_failed) == (3, 1)
    assert event.payload.url.endswith("/grouprun/12345")


def test_the_recipe_gives_the_same_signature():
    """So that the other tests may make their own."""
    assert sign(BODY) == HEADER


@pytest.mark.parametrize(
    ("body", "header", "secret"),
    [
        (BODY.replace(b"failed", b"passed"), HEADER, SECRET),
        (BODY + b" ", HEADER, SECRET),
        (b"", HEADER, SECRET),
        (BODY, HEADER.replace(str(SIGNED_AT), str(SIGNED_AT + 1)), SECRET),
        (BODY, HEADER, "ff" * 32),
        (BODY, f"v1,t={SIGNED_AT},s={'0' * 64}", SECRET),
    ],
)
def test_what_was_changed_is_refused(body, header, secret):
    """The body, the time, the signature or the secret."""
    with pytest.raises(SignatureMismatch) as caught:
        check(body, header, secret)
    assert secret not in str(caught.value)
    assert DIGEST not in str(caught.value)


def test_the_secret_is_decoded_from_hex():
    """Its text is not the key."""
    digest = hmac.new(SECRET.encode(), f"{SIGNED_AT}.".encode() + BODY, hashlib.sha256).hexdigest()
    with pytest.raises(SignatureMismatch):
        check(header=f"v1,t={SIGNED_AT},s={digest}")


@pytest.mark.parametrize("secret", ["", " ", "whsec_123", "abc"])
def test_a_secret_that_is_not_hex_is_the_receivers_mistake(secret):
    """An empty secret verifies nothing."""
    with pytest.raises(ValueError, match="hexadecimal"):
        check(secret=secret)


@pytest.mark.parametrize("age", [-300, -1, 0, 1, 299.9, 300])
def test_within_the_window(age):
    """In both directions; the limits are included."""
    assert check(now=SIGNED_AT + age).payload.id == 12345


@pytest.mark.parametrize(("age", "words"), [(300.1, "300 s ago"), (86_400, "ago"), (-300.1, "ahead")])
def test_outside_the_window(age, words):
    """A recorded delivery cannot be replayed later; one from the future is refused as well."""
    with pytest.raises(OutsideReplayWindow, match=words):
        check(now=SIGNED_AT + age)


def test_the_window_can_be_chosen():
    """In seconds."""
    assert check(now=SIGNED_AT + 900, window=1000)
    with pytest.raises(OutsideReplayWindow):
        check(now=SIGNED_AT + 2, window=1)


def test_an_old_forgery_is_a_forgery():
    """The time of an unsigned delivery says nothing."""
    with pytest.raises(SignatureMismatch):
        check(header=f"v1,t={SIGNED_AT},s={'0' * 64}", now=SIGNED_AT + 86_400)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "v1",
        f"v2,t={SIGNED_AT},s={DIGEST}",
        f"t={SIGNED_AT},s={DIGEST}",
        f"v1,s={DIGEST}",
        f"v1,t=,s={DIGEST}",
        f"v1,t=-5,s={DIGEST}",
        f"v1,t=1e9,s={DIGEST}",
        f"v1,t={'9' * 5000},s={DIGEST}",
        f"v1,t=\u0661\u0662,s={DIGEST}",
        f"v1,t={SIGNED_AT},t={SIGNED_AT},s={DIGEST}",
        f"v1,t={SIGNED_AT}",
        f"v1,t={SIGNED_AT},s=",
        f"v1,t={SIGNED_AT},s={DIGEST[:-2]}",
        f"v1,t={SIGNED_AT},s={DIGEST[:-1]}g",
    ],
)
def test_a_malformed_header_is_refused(header):
    """As malformed, not as a wrong signature."""
    with pytest.raises(WebhookMalformed):
        check(header=header)


@given(st.text() | st.none(), st.binary())
def test_nothing_unsigned_gets_through(header, body):
    """For any header, no other exception is raised."""
    with pytest.raises(WebhookRefused):
        check(body, header)


def test_one_of_several_signatures_does():
    """While a secret is being replaced."""
    assert check(header=f"v1, t={SIGNED_AT}, s={'0' * 64}, s={DIGEST.upper()}, x=1").payload.id == 12345


@pytest.mark.parametrize(
    "body", [b"", b"not JSON", b"[]", b'{"event":"x"}', b'{"event":1,"payload":{"id":1}}', b"\xff\xfe"]
)
def test_a_signed_body_that_is_no_event(body):
    """The delivery is authentic, but not an event."""
    with pytest.raises(WebhookMalformed, match="authentic"):
        check(body, sign(body))


def test_events_of_later_days():
    """An unknown event is passed on, and unknown fields are dropped."""
    body = json.dumps(
        {"event": "test_run_paused", "payload": {"id": 1, "tests_ran": None, "new": []}}
    ).encode()
    event = check(body, sign(body))
    assert (event.event, event.payload.status, event.payload.tests_ran) == ("test_run_paused", None, None)


# -- duplicates


def test_a_delivery_is_known_once_it_was_seen():
    """And adding it changes only what comes after."""
    none = SeenDeliveries()
    one = none.with_key("a")
    assert "a" not in none
    assert "a" in one
    assert one.with_key("a") is one


def test_the_memory_is_bounded():
    """The oldest go first."""
    seen = SeenDeliveries(limit=3)
    for key in "abcde":
        seen = seen.with_key(key)
    assert seen.keys == ("c", "d", "e")


@pytest.mark.parametrize("key", [None, "", "x" * 201])
def test_a_key_that_cannot_be_remembered(key):
    """A key that is missing or too long."""
    with pytest.raises(WebhookMalformed):
        SeenDeliveries().with_key(key)


def test_a_replay_under_another_key_is_refused():
    """The key is not signed, so anybody who recorded a delivery can make a fresh one."""
    event = check()
    seen = SeenDeliveries().admit(event, "a")
    for header in (HEADER, HEADER.replace(DIGEST, DIGEST.upper()), f"{HEADER},s={'0' * 64}"):
        with pytest.raises(DeliveryRepeated):
            seen.admit(check(header=header), "b")
    later = check(header=sign(BODY, SIGNED_AT + 1))
    with pytest.raises(DeliveryRepeated):
        seen.admit(later, "a")
    assert len(SeenDeliveries(limit=1).admit(event, "a").admit(later, "b").fingerprints) == 1


def test_what_a_delivery_tells_is_kept():
    """Its tests, its commit and its time."""
    fields = {
        "tests": [{"id": 1}, 7],
        "github_context": {"ref": "main"},
        "created_at": "2026-02-11T12:00:00Z",
    }
    body = json.dumps({"event": "test_group_run_passed", "payload": {"id": 1, **fields}}).encode()
    payload = check(body, sign(body)).payload
    assert (payload.tests, payload.github_context) == (({"id": 1},), {"ref": "main"})
    assert payload.created_at.isoformat() == "2026-02-11T12:00:00+00:00"
