"""TesterArmy's webhooks: their address is a secret, and starts runs without an API key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import Lenient, LenientTuple, WireModel
from airflow_provider_testerarmy.client.testerarmy.fields import call
from airflow_provider_testerarmy.client.testerarmy.models import GroupWebhookRequest
from airflow_provider_testerarmy.client.testerarmy.operations import check_id


class WebhookReceived(WireModel):
    """The response to a webhook; ``reason`` says why it was ignored."""

    received: bool
    ignored: Lenient[bool] = None
    reason: Lenient[str] = None
    run_id: Lenient[str] = None
    batch_ids: LenientTuple[str] = ()


def trigger_webhook(webhook_id: str, secret: str, payload: Mapping[str, Any]) -> Operation[WebhookReceived]:
    """``POST /webhook/{webhookId}/{secret}``: a deployment event; may start (and bill) runs.

    :param payload: the event, as the deployment platform sends it.
    """
    return _webhook("trigger webhook", "/webhook", webhook_id, secret, dict(payload))


def trigger_group_webhook(
    webhook_id: str, secret: str, request: GroupWebhookRequest | None = None
) -> Operation[WebhookReceived]:
    """``POST /groups/webhook/{webhookId}/{secret}``: starts (and bills) runs of the group's tests."""
    body = (request or GroupWebhookRequest()).body()
    return _webhook("trigger group webhook", "/groups/webhook", webhook_id, secret, body)


def _webhook(
    name: str, path: str, webhook_id: str, secret: str, body: dict[str, Any]
) -> Operation[WebhookReceived]:
    if not isinstance(secret, str) or not secret.strip():
        raise RequestInvalid("The secret of the webhook is empty.")
    quoted = quote(secret.strip(), safe="")
    full = f"{path}/{check_id(webhook_id, 'webhook_id')}/{quoted}"
    operation = call(name, "POST", full, WebhookReceived, body, repeatable=False)
    return replace(operation, authorized=False, secrets=(secret.strip(), quoted))
