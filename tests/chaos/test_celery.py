"""The main cases on the CeleryExecutor, with two workers and two triggerers."""

from __future__ import annotations

import pytest

from tests.chaos import company
from tests.chaos.cases import Case, Outcome

pytestmark = [pytest.mark.integration, pytest.mark.celery]


@pytest.mark.parametrize("case", company.cases(company.CELERY), ids=lambda case: case.name)
def test_it_is_submitted_once_and_nothing_is_left_behind(
    case: Case, celery_outcomes: dict[Case, Outcome]
) -> None:
    outcome = celery_outcomes[case]
    problems = outcome.problems()
    assert not problems, "\n".join([*problems, outcome.details])
