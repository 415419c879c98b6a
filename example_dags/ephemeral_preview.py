"""Test a preview and its mobile build, with an environment, a login and an app that exist for one DAG run.

To use it with your account, put your ids here, your API key into the connection ``testerarmy_default``, and the
login of a test user into the connection ``shop_login``. Replace ``deploy``, ``build`` and ``publish`` with your own
steps. If your workers share no disk, set the parameter ``builds`` to a folder of an object store, e.g.
``s3://my-bucket/builds``.

Each retry finds what an earlier try of its task has created. So a worker that is lost leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyCreateCredentialOperator,
    TesterArmyCreateEnvironmentOperator,
    TesterArmyDeleteAppOperator,
    TesterArmyDeleteEnvironmentOperator,
    TesterArmyRunGroupOperator,
    TesterArmyUploadAppOperator,
)

WEB_PROJECT = "10000000-0000-4000-8000-000000000001"
WEB_GROUP = "30000000-0000-4000-8000-000000000002"
MOBILE_PROJECT = "10000000-0000-4000-8000-000000000002"
MOBILE_GROUP = "30000000-0000-4000-8000-000000000020"


@task
def deploy(params: dict | None = None) -> str:
    return f"https://preview-{params['commit_sha']}.shop.example"


@task
def build(params: dict | None = None) -> str:
    path = f"{params['builds']}/shop-{params['commit_sha']}.ipa"
    ObjectStoragePath(path).write_bytes(b"Replace me with your build.")
    return path


@task
def publish(web: dict | None = None, mobile: dict | None = None) -> str:
    said = [
        f"{name}: {summary['verdict']}" if summary else f"{name}: not tested"
        for name, summary in (("web", web), ("mobile", mobile))
    ]
    print(*said, sep="\n")
    return ", ".join(said)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    params={
        "commit_sha": Param("4f2d1c9", type="string", minLength=1, title="Commit to test"),
        "builds": Param(
            tempfile.gettempdir(), type="string", minLength=1, title="Folder of the mobile builds"
        ),
    },
    tags=["testerarmy"],
    doc_md=__doc__,
)
def ephemeral_preview():
    url = deploy()
    environment = {"project_id": WEB_PROJECT, "name": "Preview {{ ti.dag_id }} {{ run_id }}"}
    create_environment = TesterArmyCreateEnvironmentOperator(
        task_id="create_environment", url=url, **environment
    )
    delete_environment = TesterArmyDeleteEnvironmentOperator(task_id="delete_environment", **environment)
    # The API cannot delete a login, so all runs share one.
    login = TesterArmyCreateCredentialOperator(
        task_id="login",
        project_id=WEB_PROJECT,
        credential_label="Preview buyer",
        credentials_conn_id="shop_login",
    )
    # The service deletes the app after a day, even if nothing else does.
    upload = TesterArmyUploadAppOperator(
        task_id="upload", project_id=MOBILE_PROJECT, path=build(), remove_after=86_400
    )
    delete_app = TesterArmyDeleteAppOperator(
        task_id="delete_app", project_id=MOBILE_PROJECT, app_id=upload.output
    )

    waiting = {
        "commit_sha": "{{ params.commit_sha }}",
        "deferrable": True,
        "poll_interval": 5,
        "timeout": timedelta(hours=1),
    }
    web = TesterArmyRunGroupOperator(
        task_id="web",
        group_id=WEB_GROUP,
        target_url=url,
        environment="preview",
        project_environment_id=create_environment.output,
        **waiting,
    )
    mobile = TesterArmyRunGroupOperator(
        task_id="mobile",
        group_id=MOBILE_GROUP,
        platform="ios",
        mobile={"app_id": upload.output},
        **waiting,
    )

    [create_environment, login] >> web
    web >> delete_environment.as_teardown(setups=create_environment)
    mobile >> delete_app.as_teardown(setups=upload)
    # As a teardown it also reports a failure, and the DAG run has the state of the tests.
    publish(web.output, mobile.output).as_teardown()


ephemeral_preview()
