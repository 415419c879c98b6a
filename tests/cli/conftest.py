"""Memories to give commands to: in a folder, and in a database with Airflow's own tables."""

from __future__ import annotations

import json
import time
from uuid import uuid4

import pytest
from airflow import settings
from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import asset_states
from airflow_provider_testerarmy.cli.definition import main
from airflow_provider_testerarmy.lifecycle.memory import AirflowStorage, FolderStorage
from airflow_provider_testerarmy.runs.memory.directory import describe
from airflow_provider_testerarmy.runs.memory.model import Night, NightRef
from airflow_provider_testerarmy.runs.memory.port import Scope
from airflow_provider_testerarmy.runs.memory.ring import load, remember
from tests.cli.command_line import CommandLine
from tests.runs.memory.store import DAY, seen

HOOK = "airflow_provider_testerarmy.hooks.testerarmy.TesterArmyHook"


def scope(target="group g1", environment="staging", conn_id="ta"):
    """A scope as tasks compose it."""
    return Scope(f"{HOOK} {conn_id} {target}", json.dumps({"environment": environment}))


class Place:
    """A place of memories, and commands on it.

    :param arguments: those that name the place.
    """

    def __init__(self, storage, arguments, capsys):
        self.storage = storage
        self.arguments = arguments
        self._capsys = capsys

    def nights(self, letters, whose=None, **fields):
        """Remember nights that end today; ``letters`` has a string for each test."""
        whose = whose or scope()
        count = max(map(len, letters.values()))
        for number in range(count):
            at = time.time() - (count - number - 1) * DAY - 60
            ref = NightRef.of(f"dag/run-{number}", at, f"{number:07x}aa", "https://shop.example/")
            tests = {test: seen(each[number]) for test, each in letters.items() if number < len(each)}
            fault = remember(
                self.storage, whose, Night(ref, tests, **fields), now=time.time(), token=uuid4().hex
            )
            assert fault is None
        describe(self.storage, whose)

    def load(self, whose=None):
        """The content of a memory."""
        return load(self.storage, whose or scope(), now=time.time())

    def run(self, *words):
        """Run a command, and return what it printed."""
        self._capsys.readouterr()
        main(["memory", words[0], *self.arguments, *words[1:]])
        return self._capsys.readouterr().out

    def refuse(self, *words):
        """Run a command that fails, and return its message: one line."""
        with pytest.raises(SystemExit) as ended:
            self.run(*words)
        assert self._capsys.readouterr().out == ""
        said = str(ended.value.code)
        assert said.startswith("Error: ")
        assert "\n" not in said
        return said

    def show(self, *words):
        """What `show` prints as JSON."""
        return json.loads(self.run("show", "--output", "json", *words))["memories"]


@pytest.fixture
def command_line(capsys):
    """The command line of this process."""
    return CommandLine(capsys)


@pytest.fixture
def folder(tmp_path, capsys):
    """Memories in a folder."""
    path = tmp_path / "memory"
    path.mkdir()
    return Place(FolderStorage(str(path)), ["--memory-path", str(path)], capsys)


@pytest.fixture
def metadata(tmp_path, monkeypatch):
    """A database with Airflow's tables of assets."""
    if not airflow_compat.ASSET_STATE_STORE.available:
        pytest.skip("this Airflow has no asset state store")
    from airflow.models import import_all_models
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.models.asset_state_store import AssetStateStoreModel

    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    import_all_models()
    for model in (AssetModel, AssetActive, AssetStateStoreModel):
        model.__table__.create(engine)
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "Session", scoped_session(sessionmaker(bind=engine)))
    yield engine
    settings.Session.remove()
    engine.dispose()


@pytest.fixture
def database(metadata, capsys):
    """Memories in Airflow's database."""
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session

    asset = asset_states._asset()
    with create_session() as session:
        session.add(AssetModel(name="other", uri="testerarmy://other/"))
        session.add(AssetModel(name=asset.name, uri=asset.uri))
    return Place(AirflowStorage(airflow_compat.MemoryDatabase()), [], capsys)


@pytest.fixture(params=["folder", "database"])
def place(request):
    """Both places."""
    return request.getfixturevalue(request.param)
