"""Broken set-ups: `doctor` names the right cause of each, and nothing else."""

from __future__ import annotations

import datetime
import json
import socket

import pytest
from airflow import plugins_manager, settings
from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from airflow_provider_testerarmy.cli.doctor import connection
from airflow_provider_testerarmy.configuration import setting
from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.cli.command_line import connect
from tests.client.http.rawserver import RawServer, always, http_answer
from tests.client.http.tls import TlsServer, write_bundle

KEY = "sk_of_the_tests"
HTML = [("Content-Type", "text/html")]
ID = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture(scope="module")
def real_time():
    """A sandbox whose clock is this machine's."""
    with SandboxServer(Sandbox(api_keys=[KEY])) as server:
        yield server


@pytest.fixture
def database(tmp_path, monkeypatch):
    """Airflow's table of jobs."""
    from airflow.models import import_all_models

    import_all_models()
    from airflow.jobs.job import Job

    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    Job.__table__.create(engine)
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "Session", scoped_session(sessionmaker(bind=engine)))
    yield engine
    settings.Session.remove()
    engine.dispose()


@pytest.fixture
def triggerer(database):
    """A triggerer that has just sent a heartbeat."""
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    with create_session() as session:
        job = Job(job_type="TriggererJob", state="running")
        job.job_type, job.state = "TriggererJob", "running"
        job.latest_heartbeat = datetime.datetime.now(datetime.UTC)
        session.add(job)


@pytest.fixture
def doctor(command_line, triggerer):
    """Runs `doctor`, and returns the checks that are problems, with what it says of them."""

    def run(*words, sandbox=True):
        rows = command_line.json("doctor", *(["--sandbox"] if sandbox else []), *words, code=None)
        return {row["check"]: f"{row['found']} {row['remedy']}" for row in rows if row["state"] == "problem"}

    return run


def test_a_good_set_up(doctor, monkeypatch, real_time):
    connect(monkeypatch, host=real_time.url, password=KEY)
    assert doctor("--group", catalog.GROUP_NIGHTLY, "--test", catalog.TEST_PASSES) == {}


def test_docket_too(doctor, monkeypatch, real_time):
    connect(monkeypatch, "docket_default", conn_type="docket", host=real_time.docket_url, password=KEY)
    assert doctor() == {}


def test_a_wrong_configuration(doctor, monkeypatch, real_time):
    """A value that no task can use, and a key with a typing error."""
    connect(monkeypatch, host=real_time.url, password=KEY)
    setting.cache_clear()
    monkeypatch.setenv("AIRFLOW__TESTERARMY__POLL_INTERVAL", "soon")
    found = doctor()
    setting.cache_clear()
    assert list(found) == ["configuration"]
    assert "poll_interval" in found["configuration"]
    assert "'soon'" in found["configuration"]
    monkeypatch.delenv("AIRFLOW__TESTERARMY__POLL_INTERVAL")
    monkeypatch.setenv("AIRFLOW__TESTERARMY__POL_INTERVAL", "30")
    found = doctor()
    setting.cache_clear()
    assert list(found) == ["configuration"]
    assert "no effect: pol_interval" in found["configuration"]


def test_the_exit_code(command_line, triggerer, monkeypatch, real_time):
    connect(monkeypatch, host=real_time.url, password=KEY)
    command_line.run("doctor", "--sandbox")
    connect(monkeypatch, host=real_time.url, password="wrong")
    assert "wrong or revoked" in command_line.run("doctor", "--sandbox", code=1)
    assert command_line.err == "Found 1 problem.\n"


def test_a_wrong_key(doctor, monkeypatch, real_time):
    connect(monkeypatch, host=real_time.url, password="sk_wrong")
    assert list(doctor()) == ["key"]


def test_a_revoked_key(doctor, monkeypatch):
    with SandboxServer(Sandbox(api_keys=[KEY])) as server:
        server.control.keys.revoke(KEY)
        for conn_id, kind, url in (
            ("testerarmy_default", "testerarmy", server.url),
            ("docket_default", "docket", server.docket_url),
        ):
            connect(monkeypatch, conn_id, conn_type=kind, host=url, password=KEY)
            assert "revoked" in doctor("--conn-id", conn_id)["key"]


def test_a_wrong_host(doctor, monkeypatch, real_time):
    """Another path of a web server, and a page of it."""
    connect(monkeypatch, host=f"{real_time.origin}/other", password=KEY)
    assert list(doctor()) == ["address"]
    with RawServer(always(http_answer(b"<html>shop</html>", headers=HTML))) as server:
        connect(monkeypatch, host=server.url, password=KEY)
        assert list(doctor()) == ["address"]


def test_an_unknown_host(doctor, monkeypatch):
    connect(monkeypatch, host="https://no-such-host.invalid", password=KEY)
    assert "name of the host is unknown" in doctor()["address"]


def test_http_instead_of_https(doctor, monkeypatch):
    connect(monkeypatch, host="http://tester.example", password=KEY)
    found = doctor()
    assert list(found) == ["address"]
    assert "plain http" in found["address"]


def test_https_instead_of_http(doctor, monkeypatch, real_time):
    connect(monkeypatch, host=real_time.url.replace("http://", "https://"), password=KEY)
    assert list(doctor()) == ["TLS"]


def test_a_dead_port(doctor, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    connect(monkeypatch, host=f"http://127.0.0.1:{port}/api/v1", password=KEY)
    assert "Nothing answers" in doctor()["network"]


def test_a_certificate_of_an_unknown_authority(doctor, monkeypatch, tmp_path):
    with TlsServer(write_bundle(tmp_path), always(http_answer(b"{}"))) as server:
        connect(monkeypatch, host=server.url, password=KEY)
        found = doctor()
        assert list(found) == ["certificate"]
        assert "unknown authority" in found["certificate"]


def test_an_expired_certificate(doctor, monkeypatch, tmp_path):
    long_ago = datetime.timedelta(days=-30)
    bundle = write_bundle(tmp_path, age=long_ago)
    with TlsServer(bundle, always(http_answer(b"{}"))) as server:
        connect(monkeypatch, host=server.url, password=KEY, extra={"verify": str(bundle)})
        assert "has expired" in doctor()["certificate"]


def test_a_proxy_in_the_way(doctor, monkeypatch):
    """It answers with its own page, or refuses to connect."""
    page = http_answer(b"<html>log in</html>", status="403 Forbidden", headers=HTML)
    with RawServer(always(page)) as server:
        connect(monkeypatch, host=server.url, password=KEY)
        assert list(doctor()) == ["proxy"]
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        connect(monkeypatch, host="https://tester.example/api/v1", password=KEY)
        assert "HTTPS_PROXY" in doctor()["proxy"]


@pytest.mark.parametrize(
    ("skew", "says"), [(600.0, "10.0 minutes behind"), (-600.0, "10.0 minutes ahead of")]
)
def test_a_wrong_clock(doctor, monkeypatch, skew, says):
    with SandboxServer(Sandbox(SandboxClock(skew=skew), api_keys=[KEY])) as server:
        connect(monkeypatch, host=server.url, password=KEY)
        found = doctor()
        assert list(found) == ["clock"]
        assert says in found["clock"]


def test_no_triggerer(command_line, database, monkeypatch, real_time):
    connect(monkeypatch, host=real_time.url, password=KEY)
    rows = command_line.json("doctor", "--sandbox", code=1)
    (row,) = [row for row in rows if row["state"] == "problem"]
    assert row["check"] == "triggerer"
    assert "airflow triggerer" in row["remedy"]


def test_a_triggerer_that_is_silent(command_line, triggerer, database, monkeypatch, real_time):
    with database.begin() as sql:
        sql.exec_driver_sql("UPDATE job SET latest_heartbeat = '2020-01-01 00:00:00'")
    connect(monkeypatch, host=real_time.url, password=KEY)
    assert '"check": "triggerer"' in command_line.run("doctor", "--sandbox", "-o", "json", code=1)


def test_a_database_that_cannot_be_read(command_line, database, monkeypatch, real_time):
    with database.begin() as sql:
        sql.exec_driver_sql("DROP TABLE job")
    connect(monkeypatch, host=real_time.url, password=KEY)
    rows = command_line.json("doctor", "--sandbox", code=1)
    assert [row["check"] for row in rows if row["state"] == "problem"] == ["database"]


def test_a_plugin_that_is_not_loaded(doctor, monkeypatch, real_time):
    """Of Airflow's own list of plugins and import errors."""
    connect(monkeypatch, host=real_time.url, password=KEY)
    why = {"airflow_provider_testerarmy.plugin": "No module named 'x'"}
    if hasattr(plugins_manager, "_get_plugins"):
        monkeypatch.setattr(plugins_manager, "_get_plugins", lambda: ([], why))
    else:
        monkeypatch.setattr(plugins_manager, "plugins", [])
        monkeypatch.setattr(plugins_manager, "import_errors", why)
    assert "No module named 'x'" in doctor()["plugin"]


def test_a_listener_that_is_not_registered(doctor, monkeypatch, real_time):
    from airflow.listeners.listener import get_listener_manager

    from airflow_provider_testerarmy import listener

    connect(monkeypatch, host=real_time.url, password=KEY)
    assert doctor() == {}
    manager = get_listener_manager().pm
    manager.unregister(listener)
    try:
        assert list(doctor()) == ["listener"]
    finally:
        manager.register(listener)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"login": KEY}, "login"),
        ({"extra": {"api_key": KEY}}, "'api_key' of the extra"),
        ({"extra": {"Token": KEY}}, "'Token' of the extra"),
        ({"host": KEY}, "host"),
    ],
)
def test_the_key_in_the_wrong_field(doctor, monkeypatch, real_time, fields, named):
    """The key itself is not shown."""
    connect(monkeypatch, **{"host": real_time.url, **fields})
    found = doctor()
    assert list(found) == ["key"]
    assert f"in the field {named}," in found["key"]
    assert KEY not in json.dumps(found)


def test_a_key_that_is_missing_or_was_pasted_wrong(doctor, monkeypatch, real_time):
    for password in ("", f"Bearer {KEY}"):
        connect(monkeypatch, host=real_time.url, password=password)
        found = doctor()
        assert list(found) == ["key"]
        assert KEY not in json.dumps(found)


def test_targets_that_do_not_exist(doctor, monkeypatch, real_time):
    connect(monkeypatch, host=real_time.url, password=KEY)
    assert list(doctor("--project", ID, "--group", ID, "--test", ID)) == ["project", "group", "test"]
    assert "group_id" in doctor("--group", "shop")["group"]


def test_the_sandbox_in_production(doctor, monkeypatch, real_time):
    """Its verdicts would say nothing about the product."""
    connect(monkeypatch, host=real_time.url, password=KEY)
    assert list(doctor(sandbox=False)) == ["sandbox"]
    assert connection.SANDBOX_KEY == DEFAULT_API_KEY


def test_connections_that_do_not_fit(doctor, monkeypatch, real_time):
    assert "neither" in doctor()["connection"]
    assert "no connection 'shop'" in doctor("--conn-id", "shop")["connection"]
    connect(monkeypatch, conn_type="http", host=real_time.url, password=KEY)
    assert "type 'http'" in doctor()["connection"]
    # Airflow itself refuses this extra of a variable; of the database it does not.
    connect(monkeypatch, host=real_time.url, password=KEY, extra="[]")
    assert doctor().keys() <= {"extra", "connection"}
    assert doctor()
    connect(monkeypatch, host=real_time.url, password=KEY, extra={"read_timeout": "soon"})
    assert list(doctor()) == ["extra"]


def test_rate_limits_are_shown(command_line, triggerer, monkeypatch):
    headers = [("X-RateLimit-Limit", "100"), ("RateLimit-Remaining", "7")]
    with RawServer(always(http_answer(b'{"projects": []}', headers=headers))) as server:
        connect(monkeypatch, host=server.url, password=KEY)
        rows = command_line.json("doctor", "--sandbox")
    (row,) = [row for row in rows if row["check"] == "rate limit"]
    assert row["found"] == "ratelimit-remaining: 7, x-ratelimit-limit: 100"


def test_a_service_that_is_rate_limiting_is_no_problem(doctor, monkeypatch):
    body = b'{"error": "RATE_LIMITED", "message": "slow down"}'
    with RawServer(always(http_answer(body, status="429 Too Many Requests"))) as server:
        connect(monkeypatch, host=server.url, password=KEY)
        assert doctor() == {}
