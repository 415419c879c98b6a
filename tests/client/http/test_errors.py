from __future__ import annotations

import copy
import pickle

import pytest

from airflow_provider_testerarmy.client.http import errors
from airflow_provider_testerarmy.client.http.errors import ClientError, RequestInfo, ResponseInfo, StatusError

REQUEST = RequestInfo("get run", "GET", "https://tester.army/api/v1/runs/1")
RESPONSE = ResponseInfo(503, {"retry-after": "7"}, "the beginning")


def tree(cls=ClientError):
    """Return a class and all below it."""
    return [cls, *(found for below in cls.__subclasses__() for found in tree(below))]


@pytest.mark.parametrize("cls", tree(), ids=lambda cls: cls.__name__)
def test_every_error_pickles(cls):
    """With its request and its response, between processes and in copies."""
    error = cls("it broke", request=REQUEST, response=RESPONSE)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert (again.message, again.request, again.response) == ("it broke", REQUEST, RESPONSE)
        assert str(again) == "get run (GET https://tester.army/api/v1/runs/1): it broke"


@pytest.mark.parametrize("cls", tree(), ids=lambda cls: cls.__name__)
def test_every_error_is_drawn_in_the_tree(cls):
    """The module's docstring is complete."""
    assert cls.__name__ in errors.__doc__


def test_an_error_may_know_of_no_exchange():
    """What is refused here was never sent."""
    error = errors.RequestInvalid("the id is empty")
    assert (str(error), error.request, error.response) == ("the id is empty", None, None)
    assert StatusError("?").status == 0


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (302, "BadRequest"),
        (400, "BadRequest"),
        (401, "CredentialsRejected"),
        (403, "CredentialsRejected"),
        (404, "NotFound"),
        (409, "Conflict"),
        (413, "BadRequest"),
        (418, "BadRequest"),
        (422, "BadRequest"),
        (429, "RateLimited"),
        (500, "ServerError"),
        (504, "ServerError"),
        (599, "ServerError"),
    ],
)
def test_classes_by_status(status, name):
    """By whose fault it is."""
    assert errors.status_error_class(status).__name__ == name


def test_which_errors_leave_it_open_whether_the_request_took_effect():
    """Exactly those after which a trigger must be looked for."""
    ambiguous = {cls.__name__ for cls in tree() if cls.may_have_effect}
    assert ambiguous == {"AnswerLost", "ProtocolError", "ServerError"}


def test_a_protocol_error_keeps_what_an_unusable_answer_named():
    """Between processes too: the runs may exist, and are paid for."""
    error = errors.ProtocolError("odd", request=REQUEST, candidates=(38, 39), batch_id="35")
    again = pickle.loads(pickle.dumps(error))
    assert (again.candidates, again.batch_id, again.request) == ((38, 39), "35", REQUEST)
