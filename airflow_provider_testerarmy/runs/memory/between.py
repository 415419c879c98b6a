"""The nights between the last pass of a test and its first failure, and whether they can be tested again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from airflow_provider_testerarmy.runs.memory.model import FAILING, Memory, NightRef, TestMemory
from airflow_provider_testerarmy.runs.results import Deployment


def ends(past: Memory, test: TestMemory, tonight: NightRef) -> tuple[NightRef | None, NightRef]:
    """The last good night, None if no pass is remembered, and the first bad night after it.

    :param tonight: a night on which the test fails.
    """
    bad = tonight
    for night, letter in past.conclusive(test):
        if letter not in FAILING:
            break
        bad = night
    return past.last_pass(test), bad


def between(
    past: Memory, test: TestMemory, tonight: NightRef, after: Iterable[NightRef] = ()
) -> tuple[Deployment, ...]:
    """The last good night, the nights after it on which the test was not judged, and the first bad night.

    An address that was used again since then shows another product, so the night is not usable.

    :param past: the nights before tonight.
    :param after: nights after tonight, which a backfill has.
    :return: the oldest first; empty if no pass is remembered.
    """
    good, bad = ends(past, test, tonight)
    if good is None:
        return ()
    used = sorted((*past.nights, *after, tonight), key=lambda night: night.judged)
    last_use = {night.address: night for night in used}
    nights = (good, *(night for night in past.nights if good < night < bad), bad)
    return tuple(
        replace(
            night.deployment,
            usable=last_use.get(night.address) == night and same_site(night.address, tonight.address),
        )
        for night in nights
    )


def same_site(address: str, tonight: str) -> bool:
    """Whether two addresses have the same host, or host names that differ in their first label alone.

    Anyone who can write to the memory can write an address, and the service types passwords into its pages.
    """
    one, other = urlsplit(address), urlsplit(tonight)
    if not one.hostname or not other.hostname or one.scheme != other.scheme:
        return False
    if one.hostname == other.hostname:
        return True
    parent = other.hostname.partition(".")[2]
    # The last two numbers of an IP address, or a top-level domain, name no site.
    named = "." in parent and not parent.replace(".", "").isdigit()
    return named and one.hostname.partition(".")[2] == parent
