"""Receivers of metrics and spans: StatsD's lines by UDP, and OpenTelemetry's messages by HTTP."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_LINE = re.compile(r"(?P<name>[^,:]+)(?P<tags>(?:,[^,:=]+=[^,:]*)*):(?P<value>[^|]+)\|(?P<kind>\w+)")


class StatsdReceiver:
    """Keeps what StatsD receives, with Influx's tags."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        #: The sums of counters, and the values of timers and gauges, by name and tags.
        self.counters = Counter()
        self.values = defaultdict(list)
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            try:
                data = self._socket.recv(65536).decode()
            except OSError:
                return
            for line in data.splitlines():
                if not (found := _LINE.match(line)):
                    continue
                key = (found["name"], frozenset(filter(None, found["tags"].split(","))))
                if found["kind"] == "c":
                    self.counters[key] += int(float(found["value"]))
                else:
                    self.values[key].append(float(found["value"]))

    def total(self, name, **tags):
        """The sum of a counter's values with these tags, and maybe others."""
        wanted = {f"{key}={value}" for key, value in tags.items()}
        return sum(count for (each, has), count in self.counters.items() if each == name and wanted <= has)

    def all_of(self, name):
        """The values of a timer or gauge."""
        return [value for (each, _), values in self.values.items() if each == name for value in values]

    def close(self):
        self._socket.close()


class OtlpReceiver:
    """Keeps the spans and the names of metrics that OpenTelemetry's exporters send."""

    def __init__(self):
        self.spans = []
        self.metrics = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                receiver.receive(self.path, body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def receive(self, path, body):
        if path.endswith("/traces"):
            request = ExportTraceServiceRequest.FromString(body)
            self.spans += [
                span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans
            ]
        else:
            request = ExportMetricsServiceRequest.FromString(body)
            for each in request.resource_metrics:
                for scope in each.scope_metrics:
                    self.metrics.update({metric.name: metric for metric in scope.metrics})

    def close(self):
        self._server.shutdown()
