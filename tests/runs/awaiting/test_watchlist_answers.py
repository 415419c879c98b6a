"""Which waits invalid ids, unusable responses and rejected keys end, and which continue."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH, WaitEnd, Watchlist
from airflow_provider_testerarmy.runs.cleaning import usable_id
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.service import FaultKind
from tests.runs.awaiting.test_watchlist import PACE, watching
from tests.runs.scripted import START, Port, fault

# -- odd ids and answers


ODD = ["", " ", "a\nb", "\ud800", None, 1.5, b"run", True, ["run-1"], {}, -1, 10**5000]


class Picky(Port):
    """A vendor whose ids are small numbers and words."""

    def fetch_state(self, run_id):
        if not usable_id(run_id):
            raise ValueError("not an id")
        return super().fetch_state(run_id)


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_unusable_id_ends_the_wait_of_who_gave_it_and_no_other(odd):
    """The others are asked for as before."""
    account, watch, ids = watching(3)
    watch.list = Watchlist(Picky(active_statuses=()))
    watch.subscriptions.clear()
    others = [watch.wait_for([run_id], PACE) for run_id in ids]
    mine = watch.wait_for([ids[0], odd], PACE)
    watch.go_on(1)
    ended = watch.list.over(mine, account.now)
    assert ended.end is WaitEnd.NOT_FOUND
    assert len(ended.message.splitlines()) == 1
    ended.message.encode()
    account.end(*ids)
    watch.list.drop(mine)
    watch.go_on(10)
    assert [watch.list.over(one, account.now).end for one in others] == [WaitEnd.FINISHED] * 3


def test_an_unusable_id_is_refused_each_time():
    """Also by who comes later, and past its deadline."""
    account, watch, _ = watching(0)
    watch.list = Watchlist(Picky(active_statuses=()))
    first = watch.wait_for([""], Pace(5, 600, START + 2))
    watch.go_on(5)
    second = watch.wait_for([""], PACE)
    watch.go_on(1)
    ends = [watch.list.over(one, account.now).end for one in (first, second)]
    assert ends == [WaitEnd.NOT_FOUND] * 2


# -- enough failures


def test_a_wait_ends_at_a_number_of_failed_runs():
    """Neither passes nor errors count, nor those of another wait; and its neighbours wait on."""
    account, watch, ids = watching(6)
    mine, other = (watch.wait_for(ids, Pace(5, 600, stop_at=limit)) for limit in (2, 3))
    account.end(ids[0], outcome=Outcome.FAILED)
    account.end(ids[1], outcome=Outcome.PASSED)
    account.end(ids[2], outcome=Outcome.ERRORED)
    watch.go_on(10)
    assert watch.list.over(mine, account.now) is None
    account.end(ids[3], outcome=Outcome.FAILED)
    watch.go_on(10)
    ended = watch.list.over(mine, account.now)
    assert ended.end is WaitEnd.ENOUGH
    assert [run.finished for run in ended.results.values()].count(True) == 4
    assert watch.list.over(other, account.now) is None


def test_a_wait_whose_runs_have_all_ended_is_finished():
    """However many failed."""
    account, watch, ids = watching(2)
    mine = watch.wait_for(ids, Pace(5, 600, stop_at=1))
    account.end(*ids, outcome=Outcome.FAILED)
    watch.go_on(10)
    assert watch.list.over(mine, account.now).end is WaitEnd.FINISHED


# -- the key


def test_a_rejected_key_ends_every_wait_after_the_second_question():
    """Few requests are sent until then."""
    account, watch, _ = watching(30, statuses=())
    watch.go_on(60)
    account.asked.clear()
    account.trouble = lambda _question: fault(FaultKind.DENIED)
    watch.go_on(15)
    assert {watch.list.over(one, account.now).end for one in watch.subscriptions} == {WaitEnd.DENIED}
    assert account.count() <= WIDTH + 2


@pytest.mark.parametrize("count", [1, 5, 30])
@pytest.mark.parametrize("statuses", [(), None], ids=["without lists", "with lists"])
def test_one_rejection_ends_nobodys_wait(count, statuses):
    """Whether it was about a run or a list."""
    account, watch, ids = watching(count, statuses=statuses)
    watch.go_on(60)
    hiccups = [fault(FaultKind.DENIED)]
    account.trouble = lambda _question: hiccups.pop() if hiccups else None
    watch.go_on(30)
    assert (hiccups, [watch.list.over(one, account.now) for one in watch.subscriptions]) == (
        [],
        [None] * count,
    )
    account.end(*ids)
    watch.go_on(10)
    assert set(watch.seen) == set(ids)


def test_a_run_that_the_key_may_not_see_concerns_who_waits_for_it():
    """All others are answered."""
    account, watch, _ = watching(5, statuses=())
    account.trouble = lambda one: fault(FaultKind.DENIED) if one.args[0] == "run-2" else None
    watch.go_on(20)
    ends = [watch.list.over(one, account.now) for one in watch.subscriptions]
    assert [end and end.end for end in ends] == [None, None, WaitEnd.DENIED, None, None]


def test_a_run_that_is_not_known_concerns_who_waits_for_it():
    """Within about a minute."""
    account, watch, _ = watching(5)
    lost = watch.wait_for(["nowhere"], PACE)
    watch.go_on(50)
    assert watch.list.over(lost, account.now) is None
    watch.go_on(35)
    assert watch.list.over(lost, account.now).end is WaitEnd.NOT_FOUND
    assert not any(watch.list.over(one, account.now) for one in watch.subscriptions[:5])
