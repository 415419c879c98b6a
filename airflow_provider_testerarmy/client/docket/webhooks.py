"""Verifies and parses Docket's webhook deliveries. It does no I/O; the caller passes the time.

::

    WebhookRefused              do not act on this delivery
    ├── WebhookMalformed        the header or the signed body has an unexpected format
    ├── SignatureMismatch       signed with another secret, or changed in transit
    ├── OutsideReplayWindow     authentic, but signed too long ago or ahead of this clock
    └── DeliveryRepeated        authentic, but accepted before

Source: https://docs.docketqa.com/essentials/webhooks
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from airflow_provider_testerarmy.client.docket.models import DocketModel, Id
from airflow_provider_testerarmy.client.http.wire import Lenient, LenientTuple, Moment

SIGNATURE_HEADER: Final = "X-Docket-Signature"
IDEMPOTENCY_HEADER: Final = "X-Docket-Idempotency-Key"

#: The default for the maximum age of a delivery in seconds, and for how far ahead its time may be.
REPLAY_WINDOW: Final = 300.0
#: A longer idempotency key is refused, because the receiver has to store the keys.
MAX_KEY_LENGTH: Final = 200

_SCHEME: Final = "v1"
# Stricter than int() and bytes.fromhex(), which accept spaces, and int() also signs and underscores.
_TIME: Final = re.compile(r"[0-9]{1,12}")
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")


class WebhookRefused(Exception):
    """Root of the tree. The messages contain neither the secret nor a signature."""


class WebhookMalformed(WebhookRefused):
    """The signature header is missing or unreadable, or the body is not an event."""


class SignatureMismatch(WebhookRefused):
    """The signature does not match the body, the time and the secret."""


class OutsideReplayWindow(WebhookRefused):
    """The delivery is authentic, but older or newer than the window allows."""


class DeliveryRepeated(WebhookRefused):
    """The delivery was accepted before, with this idempotency key or another one."""


class GroupRunSummary(DocketModel):
    """The result of a group run."""

    id: Id
    status: Lenient[str] = None
    name: Lenient[str] = None
    url: Lenient[str] = None
    tests_ran: Lenient[int] = None
    tests_passed: Lenient[int] = None
    tests_failed: Lenient[int] = None
    tests_stopped: Lenient[int] = None
    tests: LenientTuple[dict[str, Any]] = ()
    github_context: Lenient[dict[str, Any]] = None
    created_at: Lenient[Moment] = None


class WebhookEvent(DocketModel):
    """A delivery. ``event`` is ``test_group_run_passed``, ``_failed``, ``_stopped``, or a newer one."""

    event: str
    payload: GroupRunSummary
    created_at: Lenient[Moment] = None
    #: A digest of the signed time and body: a replay has the same one, even with another idempotency key.
    fingerprint: str = ""


def verify(
    body: bytes, signature: str | None, secret: str, *, now: float, window: float = REPLAY_WINDOW
) -> WebhookEvent:
    """Verify a delivery and parse its event.

    :param body: the request's body, byte for byte as received.
    :param signature: the header ``X-Docket-Signature``.
    :param secret: the shared secret in hexadecimal, as Docket shows it.
    :param now: seconds since the epoch.
    :param window: seconds by which the delivery may be older or newer than ``now``.
    :raises ValueError: for a secret that is not hexadecimal, which is a mistake in your configuration.
    :raises WebhookRefused: for a delivery that you must not act on.
    """
    # Docket signs with the decoded bytes of the secret, and signs "<time>.<raw body>".
    key = _key(secret)
    signed_at, digests = _parse_header(signature)
    expected = hmac.digest(key, signed_at.encode() + b"." + body, hashlib.sha256)
    # Compare all of them in constant time, so that the duration does not reveal which one matches.
    matches = [hmac.compare_digest(expected, digest) for digest in digests]
    if not any(matches):
        raise SignatureMismatch(
            "The signature does not match: the secret differs, or the body was changed in transit."
        )
    age = now - int(signed_at)
    if not -window <= age <= window:
        when = f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s ahead of this clock"
        raise OutsideReplayWindow(f"The delivery was signed {when}; at most {window:g} s are allowed.")
    # Parse the body only now: before, anyone could have sent it.
    fingerprint = hashlib.sha256(signed_at.encode() + b"." + body).hexdigest()
    return _parse_event(body).model_copy(update={"fingerprint": fingerprint})


def _key(secret: str) -> bytes:
    try:
        key = bytes.fromhex(secret)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("The webhook secret must be the hexadecimal text that Docket shows; copy it again.")
    return key


def _parse_header(header: str | None) -> tuple[str, list[bytes]]:
    """The signed time as text, and the signatures: there are several while a secret is being rotated."""
    if not header:
        raise WebhookMalformed(f"The {SIGNATURE_HEADER} header is missing.")
    scheme, *pairs = (part.strip() for part in header.split(","))
    if scheme != _SCHEME:
        raise WebhookMalformed(f"The {SIGNATURE_HEADER} header is not of version {_SCHEME}.")
    fields = [pair.partition("=")[::2] for pair in pairs]
    times = [value for name, value in fields if name == "t"]
    digests = [value for name, value in fields if name == "s"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        raise WebhookMalformed(f"The {SIGNATURE_HEADER} header has no readable time.")
    if not digests or not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise WebhookMalformed(f"The {SIGNATURE_HEADER} header has no readable signature.")
    return times[0], [bytes.fromhex(digest) for digest in digests]


def _parse_event(body: bytes) -> WebhookEvent:
    try:
        return WebhookEvent.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        where = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in found[:3])
        raise WebhookMalformed(
            f"The delivery is authentic, but not an event of a group run: {where}."
        ) from None


@dataclass(frozen=True, slots=True)
class SeenDeliveries:
    """The most recent deliveries, by ``X-Docket-Idempotency-Key`` and by a digest of what was signed.

    The signature does not cover the key. A recorded delivery that is replayed with a new key has a known digest.

    :param keys: the idempotency keys, oldest first.
    :param fingerprints: the digests of the same deliveries, oldest first.
    :param limit: how many deliveries to remember. Choose it so that they cover the replay window.
    """

    keys: tuple[str, ...] = ()
    limit: int = 1000
    fingerprints: tuple[str, ...] = ()

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def with_key(self, key: str | None) -> SeenDeliveries:
        """A copy with this key added; ``self`` if the key is already there.

        :raises WebhookMalformed: if the key is missing or too long.
        """
        if not key or len(key) > MAX_KEY_LENGTH:
            raise WebhookMalformed(f"The {IDEMPOTENCY_HEADER} header is missing or too long.")
        if key in self.keys:
            return self
        return replace(self, keys=(*self.keys, key)[-self.limit :])

    def admit(self, event: WebhookEvent, key: str | None) -> SeenDeliveries:
        """A copy with this delivery added.

        :param event: the event that :func:`verify` returned.
        :param key: the header ``X-Docket-Idempotency-Key``.
        :raises DeliveryRepeated: if its key, or its signed time and body, are already there.
        :raises WebhookMalformed: if the key is missing or too long.
        """
        after = self.with_key(key)
        if after is self or event.fingerprint in self.fingerprints:
            raise DeliveryRepeated("The delivery was accepted before.")
        return replace(after, fingerprints=(*self.fingerprints, event.fingerprint)[-self.limit :])
