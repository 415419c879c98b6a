"""Two machines that sync one folder with one lock, in any order of their steps."""

from __future__ import annotations

import tempfile
import threading

from airflow_provider_testerarmy.catalogue.model import CatalogueBusy
from airflow_provider_testerarmy.hooks.testerarmy_catalogue import HookRequests
from airflow_provider_testerarmy.lifecycle.catalogue import CatalogueSync
from tests.catalogue.conftest import PROJECT


class Machine:
    """A machine whose sync stands still before each of its steps until it is let go.

    :param until_end: a number of steps that no sync reaches.
    """

    until_end = 1000

    def __init__(self, folder, place):
        self.busy = False
        self.steps = 0
        self._allowed = threading.Semaphore(0)
        self._arrived = threading.Semaphore(0)
        self._ended = False
        self._error = None
        self.thread = threading.Thread(target=self._run, args=(folder, place), daemon=True)

    def go(self, steps):
        """Let it take this many steps; it then stands before the next one, or has ended."""
        if not self.thread.is_alive() and not self._ended:
            self.thread.start()
            self._arrived.acquire()
        for _ in range(steps):
            if self._ended:
                break
            self._allowed.release()
            self._arrived.acquire()
        if self._error:
            raise self._error

    def step(self):
        """Stand before a step."""
        self.steps += 1
        self._arrived.release()
        self._allowed.acquire()

    def _run(self, folder, place):
        try:
            self.step()
            sync = CatalogueSync(
                Stepping(HookRequests(folder.hook), self),
                *(str(folder.path), PROJECT, place),
                pause=lambda _seconds: None,
            )
            state = sync.read()
            sync.apply(state, sync.plan(state), lambda _action: None)
        except CatalogueBusy:
            self.busy = True
        except Exception as error:
            self._error = error
        self._ended = True
        self._arrived.release()


class Stepping:
    """Requests, each of which is a step."""

    max_per_second = 10_000

    def __init__(self, requests, machine):
        self._requests, self._machine = requests, machine

    def ask(self, question):
        self._machine.step()
        return self._requests.ask(question)

    def remove(self, delete):
        self._machine.step()
        return self._requests.remove(delete)


class Machines:
    """Makes pairs of machines.

    :param stepwise: the functions of the lock's module that are a step each.
    """

    def __init__(self, folder, place, monkeypatch, tmp_path, module, stepwise):
        self._folder, self._place = folder, place
        self._running = {}
        whole = tempfile.gettempdir()

        def folder_of_machine():
            machine = self._here()
            if machine is None:
                return whole
            own = tmp_path / f"machine {id(machine)}"
            own.mkdir(exist_ok=True)
            return str(own)

        monkeypatch.setattr(tempfile, "gettempdir", folder_of_machine)
        for name in stepwise:
            monkeypatch.setattr(module, name, self._stepwise(getattr(module, name)))

    def pair(self):
        """Two machines that have done nothing yet."""
        found = [Machine(self._folder, self._place) for _ in range(2)]
        self._running = {machine.thread: machine for machine in found}
        return found

    def _here(self):
        return self._running.get(threading.current_thread())

    def _stepwise(self, function):
        def stepping(*args):
            if machine := self._here():
                machine.step()
            return function(*args)

        return stepping


def count_steps(machines):
    """How many steps a machine takes that is alone."""
    first, _ = machines.pair()
    first.go(Machine.until_end)
    return first.steps


def every_order(machines, steps):
    """Pairs: the first goes some steps, the second some, the first to its end, the second to its end."""
    for one in range(1, steps + 1):
        for other in range(steps + 1):
            first, second = machines.pair()
            first.go(one)
            second.go(other)
            first.go(Machine.until_end)
            second.go(Machine.until_end)
            yield (one, other), first, second
