"""The base class of the hooks: reads the connection, creates senders, and maps client errors to faults."""

from __future__ import annotations

import json
import math
import re
import traceback
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.client.http.endpoint import Endpoint, Timeouts
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    ClientError,
    Conflict,
    CredentialsRejected,
    Intercepted,
    NotFound,
    NotSent,
    ProtocolError,
    RateLimited,
    RequestInvalid,
    ServerError,
)
from airflow_provider_testerarmy.client.http.operation import Answer, Operation
from airflow_provider_testerarmy.client.http.retry import ONCE, RetryPolicy, retry_after
from airflow_provider_testerarmy.client.http.sender import AsyncSender, SyncSender, tls_context
from airflow_provider_testerarmy.configuration import setting
from airflow_provider_testerarmy.hooks.deliveries import is_secret_part, queue_settings, split_secrets
from airflow_provider_testerarmy.hooks.forms import HINTS_QUEUE, WEBHOOK_SECRET, ConnectionForm
from airflow_provider_testerarmy.hooks.meter import Meter
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, Reply, RunService, ServiceFault
from airflow_provider_testerarmy.runs.text import one_line

T = TypeVar("T")

_PORT: Final = re.compile(r":\d+$")

#: The default limit of requests per second for all triggers of one process that share a connection.
MAX_REQUESTS_PER_SECOND: Final = 20.0

#: Timeouts for the Test button: a person waits for it, and it occupies a thread of the API server.
QUICK: Final = Timeouts(connect=3.0, read=5.0, total=10.0)

_FAULTS: tuple[tuple[type[ClientError], FaultKind], ...] = (
    (CredentialsRejected, FaultKind.DENIED),
    (NotFound, FaultKind.NOT_FOUND),
    (Conflict, FaultKind.CONFLICT),
    (RateLimited, FaultKind.RATE_LIMITED),
    (NotSent, FaultKind.TRANSIENT),
    (AnswerLost, FaultKind.TRANSIENT),
    (ProtocolError, FaultKind.TRANSIENT),
    (ServerError, FaultKind.TRANSIENT),
    (Intercepted, FaultKind.TRANSIENT),
)


def as_fault(error: ClientError, operation: Operation[Any]) -> ServiceFault:
    """Convert a client error to a fault; the only place that maps the two."""
    _release(error)
    kind = next((kind for cls, kind in _FAULTS if isinstance(error, cls)), FaultKind.REFUSED)
    effect = error.may_have_effect and not operation.repeatable
    named = error if isinstance(error, ProtocolError) else None
    return ServiceFault(
        kind,
        one_line(str(error), 500),
        may_have_effect=effect,
        retry_after=retry_after(error, datetime.now(UTC)),
        candidates=named.candidates if named else (),
        batch_id=named.batch_id if named else "",
    )


def _release(error: BaseException) -> None:
    """Clear the frames of a traceback, whose local variables may hold a response of 16 MiB.

    A waiter keeps its latest fault until the next response, and would otherwise keep two responses in memory.
    """
    for link in (error, error.__cause__):
        # clear_frames() skips frames that are still running.
        if link is not None:
            traceback.clear_frames(link.__traceback__)


_YES: Final = ("true", "1", "yes", "on")
_NO: Final = ("false", "0", "no", "off")

#: The warnings of this process so far. Each try, trigger and page creates a new hook, and would repeat them.
_WARNED: Final[set[tuple[str, str]]] = set()


def _object(text: Any, conn_id: str) -> dict[str, Any]:
    """A connection's extra as a dict. Airflow's own ``extra_dejson`` fails on any other JSON value.

    :raises RequestInvalid: for anything but a JSON object; the message does not show it, because it may be secret.
    """
    if not text or not str(text).strip():
        return {}
    try:
        extra = text if isinstance(text, dict) else json.loads(text)
    except (TypeError, ValueError, RecursionError):
        extra = text
    if extra is None or isinstance(extra, dict):
        return extra or {}
    raise RequestInvalid(
        f"The extra of the connection {conn_id!r} must be a JSON object, such as "
        '{"read_timeout": 30}, or empty.'
    )


class ServiceHook(BaseHook):
    """Base of the vendors' hooks: one Airflow connection, one client.

    The connection is read once, when it is first needed. Only the endpoint holds its password.

    :param conn_id: the Airflow connection.
    :param policy: when to retry a request; by default up to four requests with back-off.
    """

    #: The vendor's default base URL, for a connection without a host.
    default_base_url: ClassVar[str]
    #: The connection's type in Airflow.
    conn_type: ClassVar[str]
    #: The vendor's connection form, which defines the fields of the extra.
    form: ClassVar[ConnectionForm | None] = None

    def __init__(self, conn_id: str, *, policy: RetryPolicy | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._policy = policy
        self._connection: Any = None
        self._sender: SyncSender | None = None

    @property
    def path(self) -> str:
        """The import path of the hook's class, with which another process can create it again."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    # -- the connection

    @property
    def connection(self) -> Any:
        """The Airflow connection, read on first use."""
        if self._connection is None:
            self._connection = self.get_connection(self.conn_id)
        return self._connection

    def use(self, connection: Any) -> None:
        """Use a connection that the caller has read, e.g. the one of a DAG's team."""
        self._connection = connection

    async def aload(self) -> None:
        """Read the connection from an event loop. Call this first: other methods would read it synchronously."""
        if self._connection is None:
            self._connection = await airflow_compat.aget_connection(self.conn_id)

    @cached_property
    def extra(self) -> Mapping[str, Any]:
        """The connection's extra without empty fields: Airflow's form stores them as null or an empty string."""
        extra = _object(self.connection.extra, self.conn_id)
        if not extra:
            return {}
        unknown = [name for name in extra if self.form is None or name not in self.form.extra]
        if unknown or extra.get(WEBHOOK_SECRET):
            # Unknown fields may be secrets, and that of the webhooks is one. Reading `extra_dejson` makes Airflow
            # mask all values of the extra in logs. It is not read otherwise: no other known one is secret, and
            # Airflow warns about each value of fewer than five characters (`SecretsMasker.add_mask`).
            extra = self.connection.extra_dejson
        if unknown:
            self._warn_of_unknown(unknown)
        return {name: value for name, value in extra.items() if value not in (None, "")}

    def _warn_of_unknown(self, names: Sequence[str]) -> None:
        if self.form is None:
            return
        # Airflow before 2.3 stored form fields with this prefix, and some connections still have them.
        prefix = f"extra__{self.conn_type}__"
        unknown = sorted(name for name in names if not name.startswith(prefix))
        shown = ", ".join(one_line(name, 50) for name in unknown[:10])
        if shown and (self.conn_id, shown) not in _WARNED:
            _WARNED.add((self.conn_id, shown))
            self.log.warning(
                "Unknown fields in the extra of the connection %r: %s. They have no effect. Known fields: %s.",
                self.conn_id,
                shown,
                ", ".join(sorted(self.form.extra)),
            )

    @property
    def endpoint(self) -> Endpoint:
        """The service's base URL, API key and timeouts.

        :raises RequestInvalid: if the connection's host, password, timeouts or CA bundle cannot be used.
        """
        usual = self._endpoint(self.base_url(), self.connection.password or "")
        return replace(usual, timeouts=self._timeouts(usual.timeouts), verify=self.verify)

    @property
    def verify(self) -> bool | str:
        """Whether to verify TLS certificates, or the path of a CA bundle.

        :raises RequestInvalid: if the bundle cannot be read.
        """
        given = str(self.extra.get("verify", True)).strip()
        if given.lower() in _YES:
            return True
        if given.lower() in _NO:
            self._warn_of_no_verification()
            return False
        path = str(Path(given).expanduser())
        try:
            tls_context(path)
        except (OSError, ValueError) as error:
            raise RequestInvalid(
                f"verify in the extra of the connection {self.conn_id!r} must be true, false or "
                f"the path of a readable CA bundle, not {one_line(given, 200)!r} ({error})."
            ) from None
        return path

    def _warn_of_no_verification(self) -> None:
        if (self.conn_id, "verify") not in _WARNED:
            _WARNED.add((self.conn_id, "verify"))
            self.log.warning(
                "TLS certificates are not verified, because verify is false in the extra of the connection %r. "
                "Anyone on the network can read the API key. Set verify to the path of a CA bundle instead.",
                self.conn_id,
            )

    def _timeouts(self, usual: Timeouts) -> Timeouts:
        connect = self._seconds("connect_timeout", usual.connect)
        read = self._seconds("read_timeout", usual.read)
        return Timeouts(connect, read, max(usual.total, 2 * read))

    def _seconds(self, name: str, usual: float) -> float:
        return self._positive(name, usual, "number of seconds")

    @property
    def max_requests_per_second(self) -> float:
        """The limit of requests per second for all triggers of one process that share this connection.

        :raises RequestInvalid: if the value in the connection's extra is not a positive number.
        """
        usual = setting("max_requests_per_second") or MAX_REQUESTS_PER_SECOND
        return self._positive("max_requests_per_second", usual, "number")

    @property
    def rate_grows(self) -> bool:
        """Whether triggers go faster while the service says that it has room: only without a limit of the user."""
        return (self.extra.get("max_requests_per_second") or setting("max_requests_per_second")) is None

    @property
    def hints_queue(self) -> dict[str, Any] | None:
        """The arguments of Airflow's ``MessageQueueTrigger`` for the queue of hints; None for none.

        :raises RequestInvalid: if the value in the connection's extra is no JSON object with ``scheme``.
        """
        return queue_settings(self.extra.get(HINTS_QUEUE), self.conn_id)

    def _positive(self, name: str, usual: float, what: str) -> float:
        given = self.extra.get(name, usual)
        try:
            number = float(given)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or number <= 0:
            raise RequestInvalid(
                f"{name} in the extra of the connection {self.conn_id!r} must be a positive {what}, not {given!r}."
            )
        return number

    def accepts_delivery(self, part: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """Whether a webhook delivery knows a secret of this connection; by default a part of its address.

        :param part: this part of the address; empty without it.
        :param headers: with names in lower case.
        :param now: seconds since the epoch.
        """
        return is_secret_part(part, split_secrets(self.extra.get(WEBHOOK_SECRET)))

    def base_url(self) -> str:
        """The base URL from the connection's host, schema (a scheme or a path) and port."""
        connection = self.connection
        host = (connection.host or "").strip()
        if not host:
            return self.default_base_url
        schema = (connection.schema or "").strip().strip("/")
        # Schemes are case-insensitive. Any other value in this field is a path, which is case-sensitive.
        schema = schema.lower() if schema.lower() in ("http", "https") else schema
        if "://" not in host:
            host = f"{schema if schema in ('http', 'https') else 'https'}://{host}"
        try:
            parts = urlsplit(host)
        except ValueError:
            # Endpoint raises an error that explains what is wrong.
            return host
        netloc, path = parts.netloc, parts.path.rstrip("/")
        # The Test button of Airflow's connection form sends port 0 if the field is empty (measured on 3.3.2).
        if connection.port and not _PORT.search(netloc):
            netloc = f"{netloc}:{connection.port}"
        if not path:
            path = (
                f"/{schema}" if schema not in ("", "http", "https") else urlsplit(self.default_base_url).path
            )
        return parts._replace(netloc=netloc, path=path).geturl()

    @abstractmethod
    def _endpoint(self, base_url: str, key: str) -> Endpoint:
        """The endpoint with the vendor's key header and error format."""

    @property
    def allow_http(self) -> bool:
        """Whether the connection allows plain http to hosts other than loopback."""
        return str(self.extra.get("allow_http", "")).strip().lower() in _YES

    # -- the client

    def get_conn(self) -> SyncSender:
        """The client with pooled connections; close it with :meth:`close`."""
        if self._sender is None:
            self._sender = SyncSender(self.endpoint, policy=self._policy)
        return self._sender

    def async_conn(self) -> AsyncSender:
        """A new client for an event loop, which the caller must close; call :meth:`aload` first."""
        return AsyncSender(self.endpoint, policy=self._policy)

    def close(self) -> None:
        """Close the client's pooled connections."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def send(self, operation: Operation[T]) -> T:
        """Send one operation of the vendor's API and return its parsed response.

        :raises ClientError: see :mod:`airflow_provider_testerarmy.client.http.errors`.
        """
        return self.get_conn().send(operation).value

    async def asend(self, operation: Operation[T]) -> T:
        """Like :meth:`send`, for an event loop; opens a client for this call."""
        await self.aload()
        async with self.async_conn() as sender:
            return (await sender.send(operation)).value

    # -- the lifecycle's port

    @abstractmethod
    def service(self) -> RunService:
        """The vendor's adapter to the lifecycle."""

    def asker(self) -> tuple[Callable[[Ask[Any]], Reply[Any]], Callable[[], None]]:
        """A function that sends the lifecycle's requests without retries, and one that closes its client.

        :raises RequestInvalid: for any invalid field of the connection, including those that only a trigger uses.
        """
        # Validated here, so that a wrong value fails the task before it starts a run.
        _ = self.max_requests_per_second, self.hints_queue
        sender, meter = SyncSender(self.endpoint, policy=ONCE), Meter(self.service().vendor)

        def put(question: Any) -> Answer[Any]:
            began = meter.begin()
            try:
                answer = sender.send(question)
            except ClientError as error:
                meter.end(question.name, began, error)
                raise as_fault(error, question) from error
            meter.end(question.name, began)
            return answer

        return put, sender.close

    def async_asker(
        self,
    ) -> tuple[Callable[[Ask[Any]], Awaitable[Reply[Any]]], Callable[[], Awaitable[None]]]:
        """Like :meth:`asker`, for an event loop."""
        sender, meter = AsyncSender(self.endpoint, policy=ONCE), Meter(self.service().vendor)

        async def put(question: Any) -> Answer[Any]:
            began = meter.begin()
            try:
                answer = await sender.send(question)
            except ClientError as error:
                meter.end(question.name, began, error)
                raise as_fault(error, question) from error
            meter.end(question.name, began)
            return answer

        return put, sender.aclose
