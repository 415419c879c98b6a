"""The example of a preview on a real Airflow, with a kill at each step.

Its build is in a server with S3's API, and its upload goes to a signed URL of that server.

One test kills each task twice at each request that changes something: before the service has the request, and when
the service has obeyed it and the worker has no answer. Another one kills every task when it begins and when it has
done its work, and the triggerer while the runs are awaited.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.core.faults import Kind
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from tests.object_store import cluster_policy
from tests.object_store.conftest import BUCKET
from tests.object_store.preview import SHOP, Preview, TriggererKill
from tests.object_store.server import KEYS, S3Server, UploadBucket
from tests.rig.airflow import LocalAirflow
from tests.rig.sandbox import EXAMPLE_DAGS, sandbox_connection

pytestmark = pytest.mark.integration

EXAMPLE, LAST_TRY = "ephemeral_preview", "last_try"
FOLDER = f"s3://aws_default@{BUCKET}/builds"
WEB_GROUP, MOBILE_GROUP = "30000000-0000-4000-8000-000000000002", "30000000-0000-4000-8000-000000000020"
GROUPS = {"web": WEB_GROUP, "mobile": MOBILE_GROUP}
#: The API cannot delete a login. The build is the company's.
NOTHING_LEFT = {"environments": [], "apps": [], "runs": [], "logins": ["Preview buyer"]}
BUILD = {"builds/shop-4f2d1c9.ipa": b"Replace me with your build."}
#: The requests that change something, by the task that sends them.
REQUESTS = (
    ("create_environment", "create_environment"),
    ("login", "create_credential"),
    ("upload", "request_app_upload"),
    ("upload", "confirm_app_upload"),
    ("web", f"POST /groups/{WEB_GROUP}/runs"),
    ("mobile", f"POST /groups/{MOBILE_GROUP}/runs"),
    ("delete_environment", "delete_environment"),
    ("delete_app", "delete_app"),
)
#: Likewise, those to the object store.
STORED = (("build", f"PUT /{BUCKET}/builds/*"), ("upload", f"PUT /{UploadBucket.NAME}/*"))
#: What a DAG run changes at the service.
CHANGES = Counter(
    create_environment=1,
    create_credential=1,
    request_app_upload=1,
    confirm_app_upload=1,
    trigger_group=len(GROUPS),
    delete_environment=1,
    delete_app=1,
)
#: The service does not answer: it has done nothing, or what was asked of it.
MOMENTS: tuple[Kind, ...] = ("timeout", "timeout_after")

ON_THE_LAST_TRY = f'''
import pendulum
from airflow.sdk import DAG
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyCreateEnvironmentOperator,
    TesterArmyDeleteEnvironmentOperator,
    TesterArmyRunGroupOperator,
)

with DAG("{LAST_TRY}", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
    environment = {{"project_id": "{SHOP}", "name": "Last try"}}
    create = TesterArmyCreateEnvironmentOperator(
        task_id="create", url="https://preview.shop.example/", **environment
    )
    delete = TesterArmyDeleteEnvironmentOperator(task_id="delete", **environment)
    tests = TesterArmyRunGroupOperator(
        task_id="tests", group_id="{WEB_GROUP}", project_environment_id=create.output
    )
    create >> tests >> delete.as_teardown()
'''


@pytest.fixture(scope="module")
def running(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preview]:
    """An Airflow with the example, whose retries are quick and as many as the kills of one task."""
    folder, home = tmp_path_factory.mktemp("dags"), tmp_path_factory.mktemp("airflow")
    (home / "config").mkdir()
    shutil.copy(cluster_policy.__file__, home / "config" / "airflow_local_settings.py")
    shutil.copy(EXAMPLE_DAGS / f"{EXAMPLE}.py", folder)
    (folder / f"{LAST_TRY}.py").write_text(ON_THE_LAST_TRY)
    with (
        UploadBucket(server.url) as uploads,
        SandboxServer(Sandbox(SandboxClock(speed=2), object_store=uploads)) as sandbox,
    ):
        connections = {
            "testerarmy_default": sandbox_connection(sandbox.url),
            "shop_login": {
                "conn_type": "generic",
                "login": "jane@acme.example",
                "password": "battery-staple",
            },
            "aws_default": {
                "conn_type": "aws",
                "login": KEYS["aws_access_key_id"],
                "password": KEYS["aws_secret_access_key"],
                "extra": {"endpoint_url": server.url, "region_name": KEYS["region_name"]},
            },
        }
        env = {
            "SANDBOX_URL": sandbox.url,
            # The only triggerer has no peer that could take its triggers too early.
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
        }
        with LocalAirflow(folder, home=home, connections=connections, parallelism=3, env=env) as airflow:
            yield Preview(airflow, sandbox, server, uploads)


@pytest.fixture
def preview(running: Preview) -> Preview:
    """That Airflow, with a sandbox as at its start."""
    running.reset()
    return running


def stored(bucket: Any) -> dict[str, bytes]:
    """The objects of a bucket, after a check that no upload is unfinished."""
    assert list(bucket.multipart_uploads.all()) == []
    return {each.key: each.get()["Body"].read() for each in bucket.objects.all()}


def test_a_kill_at_each_request_leaves_nothing_behind(preview, bucket):
    """Retries find what is there, start nothing twice, and the teardowns delete all of it.

    The API cannot delete what was uploaded and not confirmed. The upload is killed twice between the two.
    """
    kills = [preview.kill(task, match, moment) for task, match in REQUESTS for moment in MOMENTS]
    kills += [preview.kill_at_store(task, match, moment) for task, match in STORED for moment in MOMENTS]
    run_id, end = preview.run(EXAMPLE, kills, builds=FOLDER)
    assert [(kill.task_id, kill.fault.match, kill.fault.kind) for kill in kills if not kill.done] == []
    assert end == "success"
    assert preview.airflow.xcom(EXAMPLE, run_id, "publish") == "web: passed, mobile: passed"
    assert preview.left() == NOTHING_LEFT
    assert len(preview.sandbox.log.submissions()) == 2
    assert stored(bucket) == BUILD
    assert len(stored(preview.uploads.bucket)) == 2


def test_a_kill_of_each_task_and_of_the_triggerer_leaves_nothing_behind(preview, bucket):
    """Also of those that send nothing to the service. A killed worker costs one try, and nothing is done twice."""
    tasks = [task["task_id"] for task in preview.airflow.rest.get(f"/dags/{EXAMPLE}/tasks")["tasks"]]
    kills = [
        preview.kill(task, f"GET /tasks/{task}/{moment}", "timeout")
        for task in tasks
        for moment in ("begin", "end")
    ]
    # The second try of a group defers. It begins again when its runs have ended.
    kills += [preview.kill(task, f"GET /tasks/{task}/begin", "timeout", after=1) for task in GROUPS]
    triggerer = TriggererKill(preview, GROUPS)
    run_id, end = preview.run(EXAMPLE, [*kills, triggerer], builds=FOLDER)
    assert [(kill.task_id, kill.fault.match) for kill in kills if not kill.done] == []
    assert triggerer.done
    assert end == "success"
    tries = {each["task_id"]: each["try_number"] for each in preview.airflow.task_instances(EXAMPLE, run_id)}
    assert tries == {task: 4 if task in GROUPS else 3 for task in tasks}
    assert preview.airflow.xcom(EXAMPLE, run_id, "publish") == "web: passed, mobile: passed"
    assert preview.left() == NOTHING_LEFT
    assert preview.changes() == CHANGES
    assert stored(bucket) == BUILD
    uploaded = [path for path in preview.store.written if path.startswith(f"/{UploadBucket.NAME}/")]
    assert (len(uploaded), stored(preview.uploads.bucket)) == (1, {})


def test_a_teardown_without_setups_deletes_what_a_killed_last_try_has_created(preview):
    """The setup has failed, and its environment exists."""
    kill = preview.kill("create", "create_environment", "timeout_after")
    run_id, end = preview.run(LAST_TRY, [kill])
    states = {each["task_id"]: each["state"] for each in preview.airflow.task_instances(LAST_TRY, run_id)}
    assert (end, states) == ("failed", {"create": "failed", "tests": "upstream_failed", "delete": "success"})
    assert preview.left()["environments"] == []
