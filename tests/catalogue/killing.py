"""Kills a command at one of its requests: a proxy on a real socket between the command and the sandbox."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: Before the service sees the request; after it has answered, and before the command reads the answer.
MOMENTS = ("before", "after")
_HOP = {"connection", "transfer-encoding", "content-length", "host"}


def run_command(words, url, key):
    """Runs a command in this process, which is a new one."""
    from airflow_provider_testerarmy.cli.definition import main

    # The rate limit of a connection would make the tests slow.
    extra = {"max_requests_per_second": 10_000}
    connection = {"conn_type": "testerarmy", "host": url, "password": key, "extra": extra}
    os.environ["AIRFLOW_CONN_TESTERARMY_DEFAULT"] = json.dumps(connection)
    main(words)


class Killer:
    """Forwards requests, and kills the process that sends them at one of them.

    :param at: the number of this request, from 1; 0 for none.
    """

    def __init__(self, target, at=0, moment="before"):
        self.target, self.at, self.moment = urlsplit(target), at, moment
        self.requests = []
        self.pid = None
        self._started = threading.Event()
        killer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                killer.serve(self)

            def log_message(self, *_args):
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def run(self, words, key):
        """Run a command through the proxy, and return its exit code."""
        port = self._server.server_address[1]
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.catalogue.preloaded"])
        url = f"http://127.0.0.1:{port}{self.target.path}"
        process = context.Process(target=run_command, args=(words, url, key))
        process.start()
        self.pid = process.pid
        self._started.set()
        process.join(300)
        return process.exitcode

    def serve(self, handler):
        """Serve one request."""
        self._started.wait()
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        self.requests.append(f"{handler.command} {handler.path}")
        dies = len(self.requests) == self.at
        if dies and self.moment == "before":
            self._kill(handler)
            return
        status, headers, content = self._forward(handler, body)
        if dies:
            self._kill(handler)
            return
        handler.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP:
                handler.send_header(name, value)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _forward(self, handler, body):
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
        upstream = http.client.HTTPConnection(self.target.hostname, self.target.port, timeout=30)
        try:
            upstream.request(handler.command, handler.path, body, headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def _kill(self, handler):
        os.kill(self.pid, signal.SIGKILL)
        handler.close_connection = True
