"""The operator that runs TesterArmy's pull-request agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.lifecycle.parameters import Deferred, Text, is_template, mapping
from airflow_provider_testerarmy.lifecycle.task import with_common_fields
from airflow_provider_testerarmy.operators.testerarmy_base import TesterArmyOperator
from airflow_provider_testerarmy.runs.rendered import given, is_nothing

if TYPE_CHECKING:
    from airflow_provider_testerarmy.runs.service import RunRequest

_WEB_ONLY: Final = ("target_url",)
_MOBILE_ONLY: Final = ("mobile", "simulator_region")


class TesterArmyRunPullRequestOperator(TesterArmyOperator):
    """Tests what a pull request changes, with the agent (``POST /projects/{projectId}/pull-request-runs``).

    :param project_id: UUID, short id or its text; the id of the project.
    :param pr_number: positive int or its text; the number of the pull request.
    :param title: str; the title of the pull request, at most 500 characters.
    :param commit_sha: str; the commit that is deployed, or that the build has.
    :param description: str or None; the description of the pull request, at most 5000 characters.
    :param base_branch: str or None; the branch to merge into.
    :param head_branch: str or None; the branch to merge.
    :param target_url: str or None; the http or https URL of the preview. A web project needs it.
    :param platform: ``web``, ``ios``, ``android`` or None; None means ``web``.
    :param mobile: dict, JSON text or None; the mobile build to test, with the optional fields ``app_id``
        (UUID), ``bundle_id``, ``artifact_url`` (http or https), ``artifact_filename`` and ``build_id``. None means
        the newest build.
    :param simulator_region: ``eu-north1``, ``us-west1`` or None; where a mobile simulator runs.
    :raises RequestRefused: when the task runs, for a parameter that is invalid after rendering. No run is
        started.

    The common parameters and errors are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields(
        "testerarmy_conn_id",
        "project_id",
        "pr_number",
        "title",
        "commit_sha",
        "description",
        "base_branch",
        "head_branch",
        "target_url",
        "platform",
        "mobile",
        "simulator_region",
        "memory_path",
        "budget",
        "partition_key",
    )

    def __init__(
        self,
        *,
        project_id: Text,
        pr_number: Text,
        title: Text,
        commit_sha: Text,
        description: Text | None = None,
        base_branch: Text | None = None,
        head_branch: Text | None = None,
        target_url: Text | None = None,
        platform: Text | None = None,
        mobile: Mapping[str, Any] | Deferred | str | None = None,
        simulator_region: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id
        self.pr_number = pr_number
        self.title = title
        self.commit_sha = commit_sha
        self.description = description
        self.base_branch = base_branch
        self.head_branch = head_branch
        self.target_url = target_url
        self.platform = platform
        self.mobile = mobile
        self.simulator_region = simulator_region
        if not is_template(platform):
            is_mobile = self._is_mobile()
            for name in _WEB_ONLY if is_mobile else _MOBILE_ONLY:
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is not for {'a mobile' if is_mobile else 'a web'} platform.")
            if not is_mobile and target_url is None:
                raise ValueError("target_url is missing. A web project needs the URL of the preview.")

    def _is_mobile(self) -> bool:
        return str(self.platform or "").strip().lower() in ("ios", "android")

    def target(self) -> RunRequest:
        """The project, without the pull request."""
        from airflow_provider_testerarmy.client.testerarmy.fields import project_path
        from airflow_provider_testerarmy.hooks.testerarmy_pull_requests import PULL_REQUEST
        from airflow_provider_testerarmy.runs.service import RunRequest

        project = str(given(self.project_id) or "").strip()
        project_path(project)
        return RunRequest(PULL_REQUEST, project)

    def build_request(self) -> RunRequest:
        """The request that runs the agent.

        :raises RequestInvalid: with the parameter's name.
        """
        from airflow_provider_testerarmy.client.http.wire import build_request
        from airflow_provider_testerarmy.client.testerarmy import pull_requests

        pull_request = build_request(
            pull_requests.PullRequest,
            number=self.pr_number,
            title=self.title,
            commit_sha=self.commit_sha,
            description=self.description,
            base_branch=self.base_branch,
            head_branch=self.head_branch,
        )
        fields: dict[str, Any] = {"platform": self.platform, "pull_request": pull_request}
        if self._is_mobile():
            fields["mobile"] = None if is_nothing(self.mobile) else mapping(self.mobile, "mobile")
            fields["simulator_region"] = self.simulator_region
            body = build_request(pull_requests.MobilePullRequestRun, **fields).body()
        else:
            fields |= {
                name: getattr(self, name) for name in _MOBILE_ONLY if not is_nothing(getattr(self, name))
            }
            body = build_request(pull_requests.WebPullRequestRun, target_url=self.target_url, **fields).body()
        address = str(body.get("targetUrl", ""))
        return replace(self.target(), body=body, commit=pull_request.commit_sha, address=address)
