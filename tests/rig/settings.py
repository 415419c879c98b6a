"""The environment variables of a local Airflow. They hold its whole configuration and inherit almost nothing."""

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# The variables that a process inherits. AIRFLOW_*, PYTHON* and proxies are excluded on purpose.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER", "LOGNAME", "CI")

Connection = str | Mapping[str, object]


@dataclass(frozen=True)
class Secrets:
    """Keys and passwords of one AIRFLOW_HOME. They are stored there, so that a kept home still works later."""

    password: str = field(default_factory=lambda: secrets.token_hex(6))
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    session_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    fernet_key: str = field(default_factory=lambda: base64.urlsafe_b64encode(os.urandom(32)).decode())

    @classmethod
    def of_home(cls, home: Path) -> "Secrets":
        """Read the secrets of this home, or generate and store them."""
        path = home / "rig_secrets.json"
        if path.exists():
            return cls(**json.loads(path.read_text()))
        created = cls()
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(created)))
        return created


@dataclass(frozen=True)
class Settings:
    """The settings that differ between local Airflows."""

    home: Path
    dags_folder: Path
    database_url: str
    port: int
    executor: str
    parallelism: int
    users: Mapping[str, str]
    broker_url: str
    queue: str
    connections: Mapping[str, Connection]
    extra: Mapping[str, str]

    def environment(self, secret: Secrets) -> dict[str, str]:
        """Return the whole environment for every process of this Airflow."""
        passwords = self.home / "passwords.json"
        passwords.write_text(json.dumps(dict.fromkeys(self.users, secret.password)))
        return (
            base_environment(self.home)
            | _fast_settings()
            | self._addresses(secret)
            | self._auth(secret, passwords)
            | (self._celery() if "Celery" in self.executor else {})
            | connection_variables(self.connections)
            | dict(self.extra)
        )

    def _addresses(self, secret: Secrets) -> dict[str, str]:
        api = f"http://127.0.0.1:{self.port}"
        return {
            "AIRFLOW__API__BASE_URL": api,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api}/execution/",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__EXECUTOR": self.executor,
            "AIRFLOW__CORE__PARALLELISM": str(self.parallelism),
            "AIRFLOW__CORE__FERNET_KEY": secret.fernet_key,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database_url,
        }

    def _auth(self, secret: Secrets, passwords: Path) -> dict[str, str]:
        return {
            "AIRFLOW__API__SECRET_KEY": secret.session_key,
            "AIRFLOW__API_AUTH__JWT_SECRET": secret.jwt_secret,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{user}:{role}" for user, role in self.users.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        }

    def _celery(self) -> dict[str, str]:
        return {
            "AIRFLOW__CELERY__BROKER_URL": self.broker_url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.database_url}",
            # Airflows that share one Redis need separate queues.
            "AIRFLOW__OPERATORS__DEFAULT_QUEUE": self.queue,
            "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
        }


def connection_variables(connections: Mapping[str, Connection]) -> dict[str, str]:
    """Return connections (a URI, or fields as a mapping) as AIRFLOW_CONN_* variables."""
    return {
        f"AIRFLOW_CONN_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in connections.items()
    }


def base_environment(home: Path) -> dict[str, str]:
    """Return the variables that every process of the rig gets."""
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    return environment | {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "*",
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
        # macOS aborts a process that forks after Objective-C classes are in use, and Airflow forks.
        "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    }


def _fast_settings() -> dict[str, str]:
    """Return short intervals, which suit one machine with a few DAGs. A test may override each of them."""
    return {
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "20",
        # A changed file is parsed at the next refresh, so unchanged files can be parsed rarely.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "15",
    }
