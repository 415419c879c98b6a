"""What a DAG's author writes, for the type checkers: `tests/test_typing.py` runs mypy --strict over it.

Nothing here is executed: each line is a form in which Airflow users give a parameter. `output["run_ids"]` is not
among them: Airflow 3.3 does not type an XComArg as indexable.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from airflow.sdk import ObjectStoragePath, task

from airflow_provider_testerarmy.decorators.testerarmy import (
    GroupRequest,
    PromptRequest,
    task_testerarmy,
    task_testerarmy_group,
)
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunPromptOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.runs.gate import QualityGate
from airflow_provider_testerarmy.sensors.docket import DocketRunSensor
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor


@task
def deploy() -> str:
    return "https://preview.shop.example"


@task
def numbers() -> list[int]:
    return [181, 182]


def of_testerarmy() -> None:
    deployed = deploy()
    group = TesterArmyRunGroupOperator(
        task_id="group",
        group_id=UUID(int=1),
        target_url=deployed,
        commit_sha=deployed,
        pr_number=12,
        mobile={"app_id": UUID(int=2)},
        gate=QualityGate(non_blocking_tests=frozenset({"a"})),
        timeout=timedelta(hours=1),
        report_path=Path("results.xml"),
    )
    TesterArmyRunTestOperator(
        task_id="test",
        test_id="{{ params.test_id }}",
        mode=deployed,
        gate="{{ var.json.gate | tojson }}",
        poll_interval="{{ params.seconds }}",
        report_path=[ObjectStoragePath("s3://bucket/results.xml"), "results.md", Path("results.html")],
    )
    TesterArmyRunPromptOperator(
        task_id="prompt", prompt=deployed, credentials_conn_id=["shop_login", "admin"]
    )
    TesterArmyRunSensor(task_id="a", run_ids=group.output)
    TesterArmyRunSensor(task_id="b", run_ids=group.output, poke_interval=30)
    TesterArmyRunSensor(task_id="c", run_ids=["{{ params.run_id }}", UUID(int=3)], timeout=None)
    TesterArmyRunSensor(task_id="d", run_ids=[group.output, deployed], gate=deployed)


def of_docket() -> None:
    found = numbers()
    tests = DocketRunTestsOperator(task_id="tests", test_blueprint_ids=found, gate={"max_severity": "3"})
    DocketRunTestsOperator(task_id="more", test_blueprint_ids=["{{ params.id }}", 182], report_path=deploy())
    DocketRunTestsOperator(task_id="category", test_blueprint_category_id=deploy(), github_context=deploy())
    DocketRunSensor(task_id="wait", run_ids=tests.output, max_outage=timedelta(minutes=1))
    DocketRunSensor(task_id="one", run_ids=38)


@task_testerarmy
def smoke(url: str) -> str:
    return f"Open {url}."


@task_testerarmy(retries=2, timeout=timedelta(hours=1))
def sign_in(url: str) -> PromptRequest:
    return {"prompt": f"Open {url}.", "credentials_conn_id": "shop_login"}


@task_testerarmy_group(gate=QualityGate(max_severity=3))
def nightly() -> GroupRequest:
    return {"group_id": UUID(int=1), "pr_number": 7}


def of_decorators() -> None:
    smoke("https://shop.example") >> nightly()
    sign_in.override(task_id="again", retries=0)("https://shop.example")
    sign_in.partial().expand(url=["https://a.example", "https://b.example"])
