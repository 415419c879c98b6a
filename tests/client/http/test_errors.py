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
    """With its request and response, in another process and in copies."""
    error = cls("it broke", request=REQUEST, response=RESPONSE)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert (again.message, again.request, again.response) == ("it broke", REQUEST, RESPONSE)
        assert str(again) == "get run (GET https://tester.army/api/v1/runs/1): it broke"


@pytest.mark.parametrize(
    "cls", [cls for cls in tree() if cls.__module__ == errors.__name__], ids=lambda cls: cls.__name__
)
def test_every_error_is_drawn_in_the_tree(cls):
    """The module's docstring is complete."""
    assert cls.__name__ in errors.__doc__


def test_an_error_may_know_of_no_exchange():
    """What is refused here was never sent."""
    error = errors.RequestInvalid("the id is empty")
    assert (str(error), error.request, error.response) == ("the id is empty", None, None)
    assert StatusError("?").status == 0


def ranges(text):
    """Return the statuses that a text such as `300-302 304` names."""
    pairs = (part.partition("-") for part in text.split())
    return {status for low, _, high in pairs for status in range(int(low), int(high or low) + 1)}


#: For every status an error class, and whether a POST that got it may have had an effect.
PLACED = [
    ("100-199", "Intercepted", True),
    ("300 302-306 309-399", "Intercepted", True),
    ("307", "Intercepted", False),
    ("301 308", "BadRequest", False),
    ("400 402 405 406 410-424 426-428 430-443 445-459 461-498", "BadRequest", False),
    ("401 403", "CredentialsRejected", False),
    ("404", "NotFound", False),
    ("407 511", "Intercepted", False),
    ("408 425 444 460 499", "ServerError", True),
    ("409", "Conflict", False),
    ("429", "RateLimited", False),
    ("500-510 512-599", "ServerError", True),
]


def test_every_status_is_placed_once():
    """No status is forgotten."""
    placed = [status for text, _, _ in PLACED for status in ranges(text)]
    assert sorted(placed) == [*range(100, 200), *range(300, 600)]
    assert sorted(errors.POST_MAY_HAVE_EFFECT) == sorted({*placed, *range(200, 300)})


@pytest.mark.parametrize(("statuses", "name", "effect"), PLACED)
def test_what_a_status_means(statuses, name, effect):
    """Its class, and whether a trigger may have had an effect."""
    for status in ranges(statuses):
        cls = errors.status_error_class(status)
        error = cls("no", request=REQUEST, response=ResponseInfo(status))
        assert (status, cls.__name__, error.may_have_effect) == (status, name, effect)


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_refusal_in_another_format_is_not_the_services(status):
    """A proxy may replace a response after the request took effect."""
    cls = errors.status_error_class(status, own=False)
    assert cls is errors.Intercepted
    assert cls("no", response=ResponseInfo(status)).may_have_effect
    assert cls("no", response=ResponseInfo(status)).status == status


@pytest.mark.parametrize("status", [0, 600, 999])
def test_a_status_that_there_is_not_leaves_it_open(status):
    """It says nothing."""
    assert errors.status_error_class(status) is errors.ServerError
    assert errors.ServerError("?", response=ResponseInfo(status)).may_have_effect


def test_which_errors_leave_it_open_whether_the_request_took_effect():
    """Exactly the statuses after which a trigger may have had an effect."""
    ambiguous = {cls.__name__ for cls in tree() if cls("no").may_have_effect}
    assert ambiguous == {"AnswerLost", "ProtocolError", "ServerError", "Intercepted"}


def test_a_protocol_error_keeps_what_an_unusable_answer_named():
    """Between processes too: the runs may exist, and are paid for."""
    error = errors.ProtocolError("odd", request=REQUEST, candidates=(38, 39), batch_id="35")
    again = pickle.loads(pickle.dumps(error))
    assert (again.candidates, again.batch_id, again.request) == ((38, 39), "35", REQUEST)
