"""Stands in for a watcher: it hears what a reader of hints passes on."""

from __future__ import annotations


class Ear:
    """What was heard, and how often the reader said that it hears nothing more."""

    def __init__(self):
        self.heard, self.stopped = [], 0

    def hear(self, keys, scope):
        self.heard.append((scope, tuple(keys)))

    def stop_hearing(self):
        self.stopped += 1
