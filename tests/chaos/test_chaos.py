"""Every case has the expected number of submissions, leaves no run active, and ends in the expected state."""

from __future__ import annotations

import pytest

from tests.chaos import company
from tests.chaos.cases import Case, Outcome

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("case", company.cases(company.LOCAL), ids=lambda case: case.name)
def test_it_is_submitted_once_and_nothing_is_left_behind(case: Case, outcomes: dict[Case, Outcome]) -> None:
    outcome = outcomes[case]
    problems = outcome.problems()
    assert not problems, "\n".join([*problems, outcome.details])
