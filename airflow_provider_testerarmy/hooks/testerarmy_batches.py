"""A batch that runs again as a target of the service port, beside tests, groups and prompts."""

from __future__ import annotations

from typing import Final

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.testerarmy import models as wire
from airflow_provider_testerarmy.client.testerarmy import operations
from airflow_provider_testerarmy.runs.cleaning import clean_submission
from airflow_provider_testerarmy.runs.service import Match, RunRequest, Submission

#: The kind of a request whose target is a batch.
BATCH: Final = "batch"


def submit(request: RunRequest) -> Operation[Submission]:
    """Run the tests of the batch again."""
    return operations.rerun_batch(request.target).then(submission)


def match(run: wire.Run) -> Match:
    """Whether a run may come from a batch that runs again.

    The API shows neither the batch of a run, nor the tests of a batch. So a run of a saved test is doubtful, and a
    submission without a response is unclear if there is one.
    """
    return Match.MAYBE if run.test_id else Match.NO


def submission(queued: wire.GroupRunQueued) -> Submission:
    """The runs of a batch that was started."""
    rejected = queued.cancelled_run_ids
    # `status` is `cancelled` only if the service rejected every run.
    if not rejected and queued.status == "cancelled":
        rejected = queued.run_ids
    return clean_submission(Submission(queued.run_ids, rejected, queued.batch_id))
