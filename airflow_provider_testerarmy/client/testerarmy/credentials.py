"""Credentials of a TesterArmy project: logins and inboxes that its tests use. Passwords are never returned."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import Lenient, Moment, RequestModel, Text, WireModel
from airflow_provider_testerarmy.client.testerarmy.fields import call, project_path

Label = Annotated[Text, Field(max_length=50)]
Username = Annotated[Text, Field(max_length=255)]
Password = Annotated[SecretStr, Field(min_length=1)]
#: How to sign in, in words; they may contain a password.
Instructions = Annotated[SecretStr, Field(min_length=1, max_length=4000)]


class CredentialSummary(WireModel):
    """A credential without its secrets. ``kind`` is login or inbox."""

    id: str
    kind: Lenient[str] = None
    auth_method: Lenient[str] = None
    label: Lenient[str] = None
    username: Lenient[str] = None
    has_auth_instructions: Lenient[bool] = None
    created_at: Lenient[Moment] = None


class CredentialList(WireModel):
    """The response of ``GET /projects/{projectId}/credentials``."""

    credentials: tuple[CredentialSummary, ...]


class CredentialSaved(WireModel):
    """The response to a created credential."""

    credential: CredentialSummary


class LoginRequest(RequestModel):
    """A login with user name and password; ``repr`` and errors do not show the password."""

    kind: Literal["login"] = "login"
    auth_method: Literal["password", "google", "github"] | None = None
    label: Label
    username: Username
    password: Password

    def secret(self) -> str:
        """The password as plain text."""
        return self.password.get_secret_value()

    def body(self) -> dict[str, Any]:
        """The JSON body with the password; send it to the service only, and never log it."""
        return super().body() | {"password": self.secret()}


class CustomLoginRequest(RequestModel):
    """A login that instructions describe; ``repr`` and errors do not show them."""

    kind: Literal["login"] = "login"
    auth_method: Literal["custom"] = "custom"
    label: Label
    auth_instructions: Instructions

    def secret(self) -> str:
        """The instructions as plain text."""
        return self.auth_instructions.get_secret_value()

    def body(self) -> dict[str, Any]:
        """The JSON body with the instructions; send it to the service only, and never log it."""
        return super().body() | {"authInstructions": self.secret()}


class InboxRequest(RequestModel):
    """An inbox that the service creates, for tests that read mail."""

    kind: Literal["inbox"] = "inbox"
    label: Label

    def secret(self) -> str:
        """Empty: an inbox has no secret."""
        return ""


CredentialRequest = LoginRequest | CustomLoginRequest | InboxRequest


def request_kind(fields: dict[str, Any]) -> type[CredentialRequest]:
    """The class of the request that these fields make."""
    if fields.get("kind") == "inbox":
        return InboxRequest
    return CustomLoginRequest if fields.get("auth_method") == "custom" else LoginRequest


def list_credentials(project_id: str) -> Operation[tuple[CredentialSummary, ...]]:
    """``GET /projects/{projectId}/credentials``: without passwords."""
    return call("list credentials", "GET", project_path(project_id, "/credentials"), CredentialList).then(
        lambda answer: answer.credentials
    )


def create_credential(project_id: str, request: CredentialRequest) -> Operation[CredentialSummary]:
    """``POST /projects/{projectId}/credentials``. The API has no operation that deletes a credential."""
    path = project_path(project_id, "/credentials")
    created = call("create credential", "POST", path, CredentialSaved, request.body(), repeatable=False)
    return replace(created, secrets=(request.secret(),)).then(lambda saved: saved.credential)
