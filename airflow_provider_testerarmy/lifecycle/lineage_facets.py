"""OpenLineage facets of a task: its target, its verdict and its tests. ``docs/lineage.md`` describes each field.

Only the OpenLineage provider causes the import of this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from attrs import define
from openlineage.client.event_v2 import Dataset
from openlineage.client.facet_v2 import JobFacet, RunFacet, external_query_run

from airflow_provider_testerarmy import __version__
from airflow_provider_testerarmy.lifecycle.verdict import Judgement
from airflow_provider_testerarmy.runs.memory.model import NightRef
from airflow_provider_testerarmy.runs.memory.port import ENVIRONMENT
from airflow_provider_testerarmy.runs.results import Outcome, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.runs.verdict.gate import fold_id

try:
    from openlineage.client.facet_v2 import test_run
except ImportError:
    # Older clients do not have this facet.
    test_run = None

_HOME: Final = "https://pypi.org/project/airflow-provider-testerarmy"
PRODUCER: Final = f"{_HOME}/{__version__}/"
#: The identifier of the schemas; the repository has them in docs/schemas/lineage.json.
SCHEMA: Final = f"{_HOME}/lineage/1-0-0/facets.json"
#: The most tests of an event, those that need attention first, and the most runs and reasons.
MAX_TESTS: Final = 100
MAX_RUNS: Final = 150
MAX_REASONS: Final = 20
_TEXT: Final = 300

#: OpenLineage's word for each outcome; whatever was not tested to the end counts as not executed.
_STATUS: Final = {Outcome.PASSED: "pass", Outcome.FAILED: "fail"}


@define
class TestTargetJobFacet(JobFacet):  # type: ignore[misc]
    """What a task tests, and where."""

    __test__ = False

    service: str
    kind: str
    target: str
    environment: str
    address: str

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMA}#/$defs/TestTargetJobFacet"


@define
class TestVerdictRunFacet(RunFacet):  # type: ignore[misc]
    """The verdict of a task, and the runs that it has started."""

    __test__ = False

    verdict: str | None
    reasons: list[str]
    counts: dict[str, int]
    runIds: list[str]  # noqa: N815 - OpenLineage's spelling
    batchId: str | None  # noqa: N815
    url: str | None
    commit: str | None
    address: str | None
    #: How many tests the facet ``test`` leaves out.
    testsOmitted: int  # noqa: N815

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMA}#/$defs/TestVerdictRunFacet"


def lineage_of(task: Any, *, ended: bool) -> OperatorLineage:
    """The lineage of an operator or sensor.

    :param task: the rendered task.
    :param ended: whether the task has ended, so that its runs are known.
    """
    request = _request(task)
    lineage = OperatorLineage(job_facets=_job_facets(task, request))
    if ended:
        lineage.run_facets = _run_facets(task, request)
    lineage.inputs, lineage.outputs = _datasets(task.inlets, task.outlets)
    return lineage


def _request(task: Any) -> RunRequest | None:
    """The request as the rendered fields make it; None for a sensor, and for fields that are invalid."""
    build = getattr(task, "build_request", None)
    with suppress(ValueError):
        request: RunRequest | None = build() if build else task.target()
        return request
    return None


def _job_facets(task: Any, request: RunRequest | None) -> dict[str, Any]:
    if request is None:
        return {}
    where = ", ".join(str(request.body[name]) for name in ENVIRONMENT if request.body.get(name))
    facet = TestTargetJobFacet(  # type: ignore[call-arg]
        service=task.hook.hook_name,
        kind=_text(request.kind),
        target=_text(request.target),
        environment=_text(where),
        address=_address(request) or "",
        producer=PRODUCER,
    )
    return {"testerarmy_target": facet}


def _run_facets(task: Any, request: RunRequest | None) -> dict[str, Any]:
    judgement: Judgement | None = task._judgement
    lifecycle = task._lifecycle
    if judgement is None and lifecycle is None:
        return {}
    summary: Mapping[str, Any] = judgement.summary if judgement else {}
    run_ids = list(map(str, summary.get("run_ids") or (lifecycle.run_ids if lifecycle else ())))
    batch_id = summary.get("batch_id") or (lifecycle.submission.batch_id if lifecycle else "")
    results = _ranked(judgement.results) if judgement else []
    facets: dict[str, Any] = {
        "testerarmy_verdict": TestVerdictRunFacet(  # type: ignore[call-arg]
            verdict=str(judgement.verdict.kind) if judgement and judgement.verdict else None,
            reasons=[_text(reason, 500) for reason in summary.get("reasons", ())][:MAX_REASONS],
            counts=dict(summary.get("counts") or {"total": len(run_ids)}),
            runIds=[_text(run_id) for run_id in run_ids[:MAX_RUNS]],
            batchId=_text(str(batch_id)) or None,
            url=_text(str(summary.get("url") or ""), 2000) or None,
            commit=_text(request.commit) or None if request else None,
            address=_address(request) if request else None,
            testsOmitted=max(0, len(results) - MAX_TESTS),
            producer=PRODUCER,
        )
    }
    if results and test_run is not None:
        tests = [_test(run, judgement) for run in results[:MAX_TESTS]]
        facets["test"] = test_run.TestRunFacet(tests=tests, producer=PRODUCER)
    if external := batch_id or (run_ids[0] if len(run_ids) == 1 else ""):
        facets["externalQuery"] = external_query_run.ExternalQueryRunFacet(
            externalQueryId=_text(str(external)), source=task.hook.hook_name, producer=PRODUCER
        )
    return facets


def _ranked(results: Iterable[RunResult]) -> list[RunResult]:
    return sorted(results, key=lambda run: (run.outcome is Outcome.PASSED, not run.issues))


def _test(run: RunResult, judgement: Judgement | None) -> Any:
    issue = next((each for each in run.issues if each.confirmed), None)
    return test_run.TestExecution(
        name=_text(run.label, 120),
        status=_STATUS.get(run.outcome, "skip") if run.outcome else "skip",
        severity="warn" if judgement and _never_blocks(run, judgement) else "error",
        type="end-to-end",
        description=_text(run.reason) or None,
        expected=_text(issue.expected) or None if issue else None,
        actual=_text(issue.actual or issue.name) or None if issue else None,
        params={
            "runId": _text(str(run.run_id)),
            "testId": _text(run.test_id),
            "outcome": str(run.outcome) if run.outcome else _text(run.status, 60),
            "url": _text(run.url, 500),
        },
    )


def _never_blocks(run: RunResult, judgement: Judgement) -> bool:
    """Whether the gate reports the test without judging it."""
    known = {str(each.get("test_id")) for each in judgement.summary.get("known") or ()}
    gate = judgement.gate
    return gate.report_only or fold_id(run.test_id) in gate.non_blocking_tests or run.test_id in known


def _datasets(inlets: Sequence[Any], outlets: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The tested product, if an inlet has its address, with all other inlets and outlets."""
    # The OpenLineage provider adds inlets and outlets only if this method returns none.
    products = [_product(inlet) for inlet in inlets or ()]
    if not any(products):
        return [], []
    convert = ExtractorManager.convert_to_ol_dataset
    ours = [product or convert(inlet) for product, inlet in zip(products, inlets, strict=True)]
    return [each for each in ours if each], [each for outlet in outlets or () if (each := convert(outlet))]


def _product(inlet: Any) -> Dataset | None:
    """An asset with an http address as a dataset. OpenLineage's provider has no form for these."""
    try:
        parts = urlsplit(str(getattr(inlet, "uri", "")))
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    # Without user, password and query, which may be secret.
    host = parts.netloc.rpartition("@")[2]
    return Dataset(namespace=f"{parts.scheme}://{_text(host)}", name=_text(parts.path, 500) or "/")


def _address(request: RunRequest) -> str | None:
    return NightRef.of("", 0, address=request.address).address or None


def _text(text: str, limit: int = _TEXT) -> str:
    return one_line(text, limit)
