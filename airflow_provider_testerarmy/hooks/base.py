"""What all hooks share: reading the connection, the senders, and faults as the lifecycle knows them."""

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
from airflow_provider_testerarmy.hooks.forms import ConnectionForm
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, Reply, RunService, ServiceFault
from airflow_provider_testerarmy.runs.text import one_line

T = TypeVar("T")

_PORT: Final = re.compile(r":\d+$")

#: Requests per second that all triggers of one process make through one connection; its extra may say otherwise.
MAX_REQUESTS_PER_SECOND: Final = 20.0

#: For the Test button, which a person waits for, and which holds a thread of the API server.
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
    """The client's error in the lifecycle's words; the one place where the two are mapped."""
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
    """Let go of what the frames of an error hold: the answer, which may be 16 MiB and more when decoded.

    Whoever waits keeps the last fault until the next answer is there, and so would keep two answers in memory.
    """
    for link in (error, error.__cause__):
        # Of frames that have ended; those that still run are left alone.
        if link is not None:
            traceback.clear_frames(link.__traceback__)


_YES: Final = ("true", "1", "yes", "on")
_NO: Final = ("false", "0", "no", "off")

#: What this process has warned of: a hook is made anew for every try, trigger and page.
_WARNED: Final[set[tuple[str, str]]] = set()


def _object(text: Any, conn_id: str) -> dict[str, Any]:
    """A connection's extra as an object; Airflow itself fails on anything else.

    :raises RequestInvalid: for text that is not the JSON of an object; its content may be secret and is not shown.
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

    The connection is read once, when it is first needed; its password never leaves the endpoint.

    :param conn_id: the Airflow connection.
    :param policy: how single requests are repeated; a few patient tries when None.
    """

    #: The vendor's default base URL, for a connection without a host.
    default_base_url: ClassVar[str]
    #: The connection's type in Airflow.
    conn_type: ClassVar[str]
    #: The vendor's connection form, which names what the extra may hold.
    form: ClassVar[ConnectionForm | None] = None

    def __init__(self, conn_id: str, *, policy: RetryPolicy | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._policy = policy
        self._connection: Any = None
        self._sender: SyncSender | None = None

    @property
    def path(self) -> str:
        """The import path of the hook's class, by which another process makes it again."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    # -- the connection

    @property
    def connection(self) -> Any:
        """The Airflow connection, read when first needed."""
        if self._connection is None:
            self._connection = self.get_connection(self.conn_id)
        return self._connection

    def use(self, connection: Any) -> None:
        """Work with a connection that the caller has read, e.g. as the team of a DAG reads it."""
        self._connection = connection

    async def aload(self) -> None:
        """Read the connection from an event loop, once, so that everything after finds it there."""
        if self._connection is None:
            self._connection = await airflow_compat.aget_connection(self.conn_id)

    @cached_property
    def extra(self) -> Mapping[str, Any]:
        """The connection's extra; fields that a form left empty arrive as null or blank and are left out."""
        extra = _object(self.connection.extra, self.conn_id)
        if not extra:
            return {}
        unknown = [name for name in extra if self.form is None or name not in self.form.extra]
        if unknown:
            # They may be secrets, which Airflow masks. Kept, because another process does so each time it is read.
            # None of the known fields is one, and Airflow warns of each value under five characters
            # (`SecretsMasker.add_mask`), such as a short workspace.
            extra = self.connection.extra_dejson
            self._warn_of_unknown(unknown)
        return {name: value for name, value in extra.items() if value not in (None, "")}

    def _warn_of_unknown(self, names: Sequence[str]) -> None:
        if self.form is None:
            return
        # Airflow before 2.3 put this before the names of a form's fields, and some connections still have it.
        prefix = f"extra__{self.conn_type}__"
        unknown = sorted(name for name in names if not name.startswith(prefix))
        shown = ", ".join(one_line(name, 50) for name in unknown[:10])
        if shown and (self.conn_id, shown) not in _WARNED:
            _WARNED.add((self.conn_id, shown))
            self.log.warning(
                "Unknown names in the extra of the connection %r: %s. They have no effect. Known names: %s.",
                self.conn_id,
                shown,
                ", ".join(sorted(self.form.extra)),
            )

    @property
    def endpoint(self) -> Endpoint:
        """Where the service is and how to prove who asks.

        :raises RequestInvalid: when the connection's host, password or time-outs cannot be used.
        """
        usual = self._endpoint(self.base_url(), self.connection.password or "")
        return replace(usual, timeouts=self._timeouts(usual.timeouts), verify=self.verify)

    @property
    def verify(self) -> bool | str:
        """Whether TLS certificates are verified, or the path of the CA bundle that verifies them.

        :raises RequestInvalid: for a bundle that cannot be read.
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
                f"verify in the extra of the connection {self.conn_id!r} is neither true, false nor "
                f"a CA bundle that can be read: {one_line(given, 200)!r} ({error})."
            ) from None
        return path

    def _warn_of_no_verification(self) -> None:
        if (self.conn_id, "verify") not in _WARNED:
            _WARNED.add((self.conn_id, "verify"))
            self.log.warning(
                "TLS certificates are not verified, because the extra of the connection %r says so: whoever is on "
                "the network can read the API key. Set verify to the path of a CA bundle instead.",
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
        """What all triggers of one process may ask of the service together.

        :raises RequestInvalid: when the connection's extra has something else than a positive number.
        """
        return self._positive("max_requests_per_second", MAX_REQUESTS_PER_SECOND, "number")

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

    def base_url(self) -> str:
        """The base URL: the connection's host, and what it gives apart from it (scheme, port, path)."""
        connection = self.connection
        host = (connection.host or "").strip()
        if not host:
            return self.default_base_url
        schema = (connection.schema or "").strip().strip("/")
        # A scheme is the same in upper case; anything else in this field is a path.
        schema = schema.lower() if schema.lower() in ("http", "https") else schema
        if "://" not in host:
            host = f"{schema if schema in ('http', 'https') else 'https'}://{host}"
        try:
            parts = urlsplit(host)
        except ValueError:
            # The endpoint says what is wrong with it.
            return host
        netloc, path = parts.netloc, parts.path.rstrip("/")
        # The connection form posts port 0 where none was given.
        if connection.port and not _PORT.search(netloc):
            netloc = f"{netloc}:{connection.port}"
        if not path:
            path = (
                f"/{schema}" if schema not in ("", "http", "https") else urlsplit(self.default_base_url).path
            )
        return parts._replace(netloc=netloc, path=path).geturl()

    @abstractmethod
    def _endpoint(self, base_url: str, key: str) -> Endpoint:
        """The vendor's way of sending the key."""

    @property
    def allow_http(self) -> bool:
        """Whether the connection allows plain http beyond loopback."""
        return str(self.extra.get("allow_http", "")).strip().lower() in _YES

    # -- the client

    def get_conn(self) -> SyncSender:
        """The client, its connections pooled; close it with :meth:`close`."""
        if self._sender is None:
            self._sender = SyncSender(self.endpoint, policy=self._policy)
        return self._sender

    def async_conn(self) -> AsyncSender:
        """A client for an event loop, owned by the caller; :meth:`aload` comes first."""
        return AsyncSender(self.endpoint, policy=self._policy)

    def close(self) -> None:
        """Close the client's pooled connections."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def send(self, operation: Operation[T]) -> T:
        """Send one operation of the vendor's API and return its answer.

        :raises ClientError: see :mod:`airflow_provider_testerarmy.client.http.errors`.
        """
        return self.get_conn().send(operation).value

    async def asend(self, operation: Operation[T]) -> T:
        """As :meth:`send`, for an event loop; opens a client for this one call."""
        await self.aload()
        async with self.async_conn() as sender:
            return (await sender.send(operation)).value

    # -- the lifecycle's port

    @abstractmethod
    def service(self) -> RunService:
        """The vendor's adapter to the lifecycle."""

    def asker(self) -> tuple[Callable[[Ask[Any]], Reply[Any]], Callable[[], None]]:
        """What puts the lifecycle's questions, each once, and what closes it again.

        :raises RequestInvalid: for whatever is wrong with the connection, also if only a trigger would need it.
        """
        _ = self.max_requests_per_second
        sender = SyncSender(self.endpoint, policy=ONCE)

        def put(question: Any) -> Answer[Any]:
            try:
                return sender.send(question)
            except ClientError as error:
                raise as_fault(error, question) from error

        return put, sender.close

    def async_asker(
        self,
    ) -> tuple[Callable[[Ask[Any]], Awaitable[Reply[Any]]], Callable[[], Awaitable[None]]]:
        """As :meth:`asker`, for an event loop."""
        sender = AsyncSender(self.endpoint, policy=ONCE)

        async def put(question: Any) -> Answer[Any]:
            try:
                return await sender.send(question)
            except ClientError as error:
                raise as_fault(error, question) from error

        return put, sender.aclose
