"""The hook's methods for TesterArmy's runs: start, read and cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.client.http import sender
from airflow_provider_testerarmy.client.http.sender import by_cursor
from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.client.testerarmy import models, operations
from airflow_provider_testerarmy.hooks.base import ServiceHook
from airflow_provider_testerarmy.hooks.lazy import lazy_module

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.testerarmy import pull_requests, webhooks
else:
    pull_requests = lazy_module("airflow_provider_testerarmy.client.testerarmy.pull_requests")
    webhooks = lazy_module("airflow_provider_testerarmy.client.testerarmy.webhooks")


class RunMethods(ServiceHook):
    """Methods for runs and batches."""

    def list_runs(
        self, *, status: str | None = None, project_id: str | None = None, test_id: str | None = None
    ) -> Iterator[models.Run]:
        """The account's runs, newest first; pages are fetched on demand."""
        first = operations.list_runs(status=status, project_id=project_id, test_id=test_id)
        for page in sender.iterate(self.get_conn().send, first, by_cursor(first)):
            yield from page.runs

    async def alist_runs(
        self, *, status: str | None = None, project_id: str | None = None, test_id: str | None = None
    ) -> AsyncIterator[models.Run]:
        """Like :meth:`list_runs`, for an event loop."""
        await self.aload()
        first = operations.list_runs(status=status, project_id=project_id, test_id=test_id)
        async with self.async_conn() as client:
            async for page in sender.aiterate(client.send, first, by_cursor(first)):
                for run in page.runs:
                    yield run

    def get_run(self, run_id: str) -> models.Run:
        """A run with its result."""
        return self.send(operations.get_run(run_id))

    async def aget_run(self, run_id: str) -> models.Run:
        """Like :meth:`get_run`, for an event loop."""
        return await self.asend(operations.get_run(run_id))

    def cancel_run(self, run_id: str) -> models.RunCancelled:
        """Cancel a run. Raises ``Conflict`` if it has already finished."""
        return self.send(operations.cancel_run(run_id))

    async def acancel_run(self, run_id: str) -> models.RunCancelled:
        """Like :meth:`cancel_run`, for an event loop."""
        return await self.asend(operations.cancel_run(run_id))

    def cancel_batch(self, batch_id: str) -> models.BatchCancelled:
        """Cancel the active runs of a batch; idempotent."""
        return self.send(operations.cancel_batch(batch_id))

    async def acancel_batch(self, batch_id: str) -> models.BatchCancelled:
        """Like :meth:`cancel_batch`, for an event loop."""
        return await self.asend(operations.cancel_batch(batch_id))

    def rerun_batch(self, batch_id: str) -> models.GroupRunQueued:
        """Start (and bill) the tests of a finished batch again. Nothing waits for the runs."""
        return self.send(operations.rerun_batch(batch_id))

    async def arerun_batch(self, batch_id: str) -> models.GroupRunQueued:
        """Like :meth:`rerun_batch`, for an event loop."""
        return await self.asend(operations.rerun_batch(batch_id))

    def trigger_test_run(self, test_id: str, **fields: Any) -> models.TestRunQueued:
        """Start (and bill) a run of a test. Nothing waits for it; operators do."""
        return self.send(operations.trigger_test_run(test_id, build_request(models.TestRunRequest, **fields)))

    async def atrigger_test_run(self, test_id: str, **fields: Any) -> models.TestRunQueued:
        """Like :meth:`trigger_test_run`, for an event loop."""
        return await self.asend(
            operations.trigger_test_run(test_id, build_request(models.TestRunRequest, **fields))
        )

    def trigger_group_run(self, group_id: str, **fields: Any) -> models.GroupRunQueued:
        """Start (and bill) the tests of a group. Nothing waits for the runs; operators do."""
        return self.send(
            operations.trigger_group_run(group_id, build_request(models.GroupRunRequest, **fields))
        )

    async def atrigger_group_run(self, group_id: str, **fields: Any) -> models.GroupRunQueued:
        """Like :meth:`trigger_group_run`, for an event loop."""
        return await self.asend(
            operations.trigger_group_run(group_id, build_request(models.GroupRunRequest, **fields))
        )

    def submit_prompt_run(self, **fields: Any) -> models.PromptRunQueued:
        """Start (and bill) a run of a prompt. Nothing waits for it; operators do."""
        return self.send(operations.submit_prompt_run(build_request(models.PromptRunRequest, **fields)))

    async def asubmit_prompt_run(self, **fields: Any) -> models.PromptRunQueued:
        """Like :meth:`submit_prompt_run`, for an event loop."""
        return await self.asend(
            operations.submit_prompt_run(build_request(models.PromptRunRequest, **fields))
        )

    def trigger_pull_request_run(self, project_id: str, **fields: Any) -> pull_requests.PullRequestRunQueued:
        """Start (and bill) the pull-request agent. Nothing waits for the run."""
        return self.send(
            pull_requests.trigger_pull_request_run(
                project_id, build_request(pull_requests.request_kind(fields), **fields)
            )
        )

    async def atrigger_pull_request_run(
        self, project_id: str, **fields: Any
    ) -> pull_requests.PullRequestRunQueued:
        """Like :meth:`trigger_pull_request_run`, for an event loop."""
        return await self.asend(
            pull_requests.trigger_pull_request_run(
                project_id, build_request(pull_requests.request_kind(fields), **fields)
            )
        )

    def trigger_webhook(
        self, webhook_id: str, secret: str, payload: Mapping[str, Any]
    ) -> webhooks.WebhookReceived:
        """Send a deployment event to a project's webhook, without the API key."""
        return self.send(webhooks.trigger_webhook(webhook_id, secret, payload))

    async def atrigger_webhook(
        self, webhook_id: str, secret: str, payload: Mapping[str, Any]
    ) -> webhooks.WebhookReceived:
        """Like :meth:`trigger_webhook`, for an event loop."""
        return await self.asend(webhooks.trigger_webhook(webhook_id, secret, payload))

    def trigger_group_webhook(self, webhook_id: str, secret: str, **fields: Any) -> webhooks.WebhookReceived:
        """Start (and bill) the tests of a group by its webhook, without the API key."""
        request = build_request(models.GroupWebhookRequest, **fields)
        return self.send(webhooks.trigger_group_webhook(webhook_id, secret, request))

    async def atrigger_group_webhook(
        self, webhook_id: str, secret: str, **fields: Any
    ) -> webhooks.WebhookReceived:
        """Like :meth:`trigger_group_webhook`, for an event loop."""
        request = build_request(models.GroupWebhookRequest, **fields)
        return await self.asend(webhooks.trigger_group_webhook(webhook_id, secret, request))
