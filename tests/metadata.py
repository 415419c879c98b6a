"""A database with Airflow's tables for one test, and a supervisor that writes into it."""

from __future__ import annotations

import shutil

import pytest
from airflow import settings
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from airflow_provider_testerarmy.airflow_compat import records
from airflow_provider_testerarmy.airflow_compat.features import DATABASE_EVERYWHERE, TASK_STATE_STORE, Feature


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database file with empty tables, to copy."""
    from airflow.models import import_all_models
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.variable import Variable

    path = tmp_path_factory.mktemp("metadata") / "airflow.db"
    engine = create_engine(f"sqlite:///{path}")
    import_all_models()
    for model in (Variable, TaskInstance, DagRun):
        model.__table__.create(engine)
    engine.dispose()
    return path


@pytest.fixture
def tables(empty_database, tmp_path, monkeypatch):
    """A database with empty tables."""
    engine = create_engine(f"sqlite:///{shutil.copy(empty_database, tmp_path)}")
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "Session", scoped_session(sessionmaker(bind=engine)))
    monkeypatch.setattr(records, "TASK_STATE_STORE", Feature("", (99, 0), "", ""))
    yield engine
    settings.Session.remove()
    engine.dispose()


@pytest.fixture
def state_store(tables, monkeypatch):
    """A process of Airflow 3.3 that reads what workers have written into the task state store."""
    if not TASK_STATE_STORE.available:
        pytest.skip("the task state store came with Airflow 3.3")
    from airflow.models.task_state_store import TaskStateStoreModel

    TaskStateStoreModel.__table__.create(tables)
    monkeypatch.setattr(records, "TASK_STATE_STORE", TASK_STATE_STORE)
    return tables


@pytest.fixture
def database(tables, monkeypatch):
    """A worker of Airflow 2.11, which accesses the database directly."""
    monkeypatch.setattr(records, "DATABASE_EVERYWHERE", True)
    return tables


@pytest.fixture
def supervised(tables, monkeypatch):
    """A worker of Airflow 3.0 to 3.2, which sends requests to its supervisor."""
    if DATABASE_EVERYWHERE:
        pytest.skip("tasks have supervisors from Airflow 3.0 on")
    from airflow.sdk.execution_time import task_runner

    monkeypatch.setattr(records, "DATABASE_EVERYWHERE", False)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    return tables


class Supervisor:
    """Answers as the supervisor does, or with `error` of the API server."""

    error = None

    def send(self, message):
        from airflow.models.variable import Variable
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse, OKResponse, VariableResult

        if not hasattr(message, "key"):  # a value to be masked
            return None
        if self.error is not None:
            return ErrorResponse(error=self.error)
        with Session(settings.engine) as session, session.begin():
            held = session.query(Variable).filter(Variable.key == message.key).one_or_none()
            if message.type == "GetVariable":
                missing = ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND, detail={"key": message.key})
                return missing if held is None else VariableResult(key=message.key, value=held.val)
            if held is not None:
                session.delete(held)
                session.flush()
            if message.type == "PutVariable":
                session.add(Variable(key=message.key, val=message.value, description=message.description))
            return OKResponse(ok=True)
