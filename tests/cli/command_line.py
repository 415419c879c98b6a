"""Runs commands in this process, and gives what they print."""

from __future__ import annotations

import json

from airflow_provider_testerarmy.cli.definition import main


class CommandLine:
    """The command line."""

    def __init__(self, capsys):
        self._capsys = capsys
        self.err = ""

    def run(self, *words, code=0):
        """Run a command that ends with this exit code (None: any), and return what it printed."""
        self._capsys.readouterr()
        ended = 0
        try:
            main([str(word) for word in words])
        except SystemExit as error:
            ended = error.code or 0
        printed = self._capsys.readouterr()
        # Python prints the text of a SystemExit to standard error, and the exit code is 1.
        self.err = printed.err + (f"{ended}\n" if isinstance(ended, str) else "")
        number = 1 if isinstance(ended, str) else ended
        assert code in (None, number), self.err or printed.out
        return printed.out

    def json(self, *words, code=0):
        """The rows that a command prints as JSON."""
        return json.loads(self.run(*words, "--output", "json", code=code))

    def refuse(self, *words):
        """The one line of a command that fails."""
        assert self.run(*words, code=1) == ""
        (line,) = self.err.splitlines()
        assert line.startswith("Error: ")
        return line


def connect(monkeypatch, conn_id="testerarmy_default", **fields):
    """Set an Airflow connection."""
    fields = {"conn_type": "testerarmy", **fields}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
