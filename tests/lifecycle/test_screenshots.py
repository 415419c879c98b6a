"""Copying screenshots from real servers: which are fetched, kept and refused."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from airflow_provider_testerarmy.client.http import sender as senders
from airflow_provider_testerarmy.exceptions import TestsFailed
from airflow_provider_testerarmy.lifecycle import screenshots
from airflow_provider_testerarmy.lifecycle.reporting import write_report
from airflow_provider_testerarmy.lifecycle.screenshots import copy_screenshots
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.reports import pictures
from airflow_provider_testerarmy.reports.pictures import NAME, folder_of, kind_of, links, stems
from airflow_provider_testerarmy.runs.results import Issue, Outcome
from airflow_provider_testerarmy.sandbox.core.screenshots import draw
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.client.http.endless import BOMBS, ENDLESS
from tests.client.http.rawserver import RawServer, always, http_answer
from tests.client.http.tls import TlsServer, write_bundle
from tests.reports.test_writing import Lines
from tests.runs.scripted import finished

PNG = draw("start")
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(100)


class Shelf(BaseHTTPRequestHandler):
    """Serves pictures, and files that only claim to be pictures."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/good.png")
            self.end_headers()
            return
        body = self.server.bodies.get(self.path.partition("?")[0])
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    server.asked = []
    server.bodies = {
        "/good.png": PNG,
        "/good.jpg": JPEG,
        "/good.webp": WEBP,
        "/page.png": b"<!doctype html><script>alert(1)</script>",
        "/drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "/huge.png": PNG + bytes(screenshots.MAX_BYTES),
    }
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Folder(dict):
    """Stores copies in memory."""

    def write(self, name: str, content: bytes) -> None:
        self[name] = content


def copied(*urls, loopback=True, outcome=Outcome.FAILED):
    """The kept copies by the last part of their address, and the log lines."""
    folder, log = Folder(), Lines()
    run = finished("a", outcome, screenshots=urls)
    names = copy_screenshots([run], folder.write, log, loopback=loopback)
    assert set(names.values()) == set(folder)
    return {url.rpartition("/")[2]: folder[name] for url, name in names.items()}, log.told


def test_pictures_are_copied(shelf):
    """PNG, JPEG and WebP, under file names that do not depend on the address."""
    urls = [f"{shelf.url}/{name}" for name in ("good.png", "good.jpg", "good.webp")]
    assert copied(*urls)[0] == {"good.png": PNG, "good.jpg": JPEG, "good.webp": WEBP}
    folder = Folder()
    copy_screenshots([finished("a", screenshots=urls)], folder.write, Lines(), loopback=True)
    assert all(NAME.fullmatch(name) for name in folder)


@pytest.mark.parametrize("name", ["page.png", "drawing.png", "huge.png", "missing.png", "moved.png"])
def test_what_is_no_picture_is_left(shelf, name):
    """A redirect is not followed, and the content decides, not its declared type. The other pictures are copied."""
    kept, told = copied(f"{shelf.url}/{name}", f"{shelf.url}/good.png")
    assert kept == {"good.png": PNG}
    assert [level for level, _ in told] == ["WARNING"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:image/png;base64,iVBORw0KGgo=",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "http://example.com/a.png",
        "https://user:word@example.com/a.png",
        "https://10.0.0.1/a.png",
        "https://169.254.169.254/latest/meta-data",
        "https://127.1/a.png",
        "https://2130706433/a.png",
        "https://0x7f000001/a.png",
        "https://017700000001/a.png",
        "https://[::ffff:127.0.0.1]/a.png",
        "https://[64:ff9b::7f00:1]/a.png",
        "https://localhost./a.png",
        "https://\uff11\uff12\uff17.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://localhost/a.png",
        "https://[bad/a.png",
        "",
    ],
)
def test_no_request_is_made_elsewhere(url):
    """Only https, and never an address inside the worker's own network."""
    kept, told = copied(url, loopback=False)
    assert kept == {}
    assert not told or "could not be copied" in told[0][1]


def test_loopback_is_for_a_service_on_loopback(shelf):
    """A remote service cannot make the worker send requests to itself."""
    assert copied(f"{shelf.url}/good.png", loopback=False)[0] == {}
    assert shelf.asked == []


@pytest.mark.parametrize("proxied", [False, True])
def test_a_name_that_leads_inside_is_not_fetched(shelf, monkeypatch, proxied):
    """The address at connection time counts, not the name. A proxy is not sent to internal addresses either."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    if proxied:
        monkeypatch.setenv("HTTPS_PROXY", shelf.url)
    port = shelf.server_port
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    system = socket.getaddrinfo

    def lookup(host, *args, **options):
        return inside if host == "pictures.example" else system(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    kept, told = copied(f"https://pictures.example:{port}/good.png", loopback=False)
    assert (kept, shelf.asked) == ({}, [])
    assert "the host is inside this network" in told[0][1]


def test_a_signature_is_not_in_the_log(shelf, httpx_lines):
    """A reader of the log could fetch the picture with it."""
    urls = [
        f"{shelf.url}/missing.png?X-Sig=hunter2&Expires=1",
        f"{shelf.url}/page.png?hunter2",
        f"{shelf.url}/moved.png?sig=hunter2#hunter2",
        "https://10.0.0.1/a.png?sig=hunter2",
        "https://me:hunter2@example.com/a.png",
        "https://exa mple/a.png?sig=hunter2",
        "https://example.com:port/?sig=hunter2",
        f"{shelf.url}/good.png?sig=hunter2",
    ]
    for url in urls:
        kept, told = copied(url)
        assert bool(told) != bool(kept)
        assert "hunter2" not in f"{told}"
    assert httpx_lines == []


def test_a_signature_in_an_error_is_not_in_the_log(shelf):
    """Even if the error of an object store contains it."""
    url = f"{shelf.url}/good.png?X-Sig=hunter2"

    def write(name, content):
        raise OSError(f"cannot write {url}, X-Sig=hunter2")

    log = Lines()
    copy_screenshots([finished("a", screenshots=(url,))], write, log, loopback=True)
    ((_, line),) = log.told
    assert "cannot write" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("way", ENDLESS)
def test_a_picture_that_never_ends_is_left(monkeypatch, way):
    """The others are copied all the same."""
    monkeypatch.setattr(screenshots, "TIMEOUT", 0.3)
    begun = time.monotonic()
    with RawServer(ENDLESS[way], pause=0.02) as server:
        kept, told = copied(f"{server.url}/a.png")
    assert (kept, [level for level, _ in told]) == ({}, ["WARNING"])
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("coding", BOMBS)
def test_a_packed_picture_is_left(coding):
    """The request accepts no coding, because pictures are compressed already."""
    answer = http_answer(BOMBS[coding](), headers=[("Content-Encoding", coding)])
    with RawServer(always(answer)) as server:
        kept, told = copied(f"{server.url}/a.png")
    assert kept == {}
    assert "coding" in told[0][1]


@pytest.mark.parametrize("trusted", [False, True])
def test_ssl_cert_file_counts_for_pictures(tmp_path, monkeypatch, trusted):
    """`verify` of the connection is for the service's host. Pictures from other hosts are always verified."""
    senders._tls_context.cache_clear()
    bundle = write_bundle(tmp_path)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with TlsServer(bundle, always(http_answer(PNG))) as server:
        kept, told = copied(f"{server.url}/a.png")
    senders._tls_context.cache_clear()
    assert kept == ({"a.png": PNG} if trusted else {})
    assert trusted or "CERTIFICATE_VERIFY_FAILED" in told[0][1]


def test_verify_in_the_connection_is_not_for_pictures(tries, service, tmp_path, monkeypatch):
    """`verify=False` applies to the service, not to a picture on another host."""
    senders._tls_context.cache_clear()
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    fields = {"conn_type": "testerarmy", "password": DEFAULT_API_KEY, "extra": {"verify": False}}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps({**fields, "host": service.url}))
    with TlsServer(write_bundle(tmp_path), always(http_answer(PNG))) as server:
        elsewhere = (f"{server.url}/a.png",)
        monkeypatch.setattr(pictures, "addresses", lambda _run: elsewhere)
        task = TesterArmyRunTestOperator(
            task_id="tests",
            test_id=catalog.TEST_FAILS,
            report_path=str(tmp_path / "night.json"),
            copy_screenshots=True,
        )
        assert isinstance(tries.execute(task), TestsFailed)
    # It was connected to, and the handshake failed.
    assert (server.accepted > 0, server.requests) == (True, [])
    assert not (tmp_path / "night.screenshots").exists()


@pytest.mark.parametrize(("bound", "value"), [("MAX_TOTAL_BYTES", len(PNG) + 1), ("MAX_PICTURES", 1)])
def test_all_of_them_have_a_bound(shelf, monkeypatch, bound, value):
    """Runs that did not pass come first."""
    monkeypatch.setattr(screenshots, bound, value)
    runs = [
        finished("a", screenshots=(f"{shelf.url}/good.jpg",)),
        finished("b", Outcome.FAILED, screenshots=(f"{shelf.url}/good.png", f"{shelf.url}/good.webp")),
    ]
    folder = Folder()
    copy_screenshots(runs, folder.write, Lines(), loopback=True)
    assert list(folder.values()) == [PNG]


def test_time_has_a_bound(shelf, monkeypatch):
    """The verdict has to wait until copying ends."""
    monkeypatch.setattr(screenshots, "MAX_SECONDS", 0.0)
    kept, told = copied(f"{shelf.url}/good.png")
    assert kept == {}
    assert "limit" in told[0][1]


def test_a_signed_address_has_one_copy(shelf):
    """The service signs the address again at each request."""
    first, second = (finished("a", screenshots=(f"{shelf.url}/good.png?sig={each}",)) for each in "xy")
    assert list(stems(first).values()) == list(stems(second).values())


def test_pictures_that_differ_by_query_have_a_copy_each():
    """A query is not always a signature."""
    run = finished("a", screenshots=("https://x/p?id=1", "https://x/p?id=2"))
    assert len(set(stems(run).values())) == 2


def test_an_issues_picture_is_one_too():
    """The picture of an issue is copied as well."""
    run = finished(
        "a", issues=(Issue("x", screenshot_url="https://x/e.png"),), screenshots=("https://x/e.png",)
    )
    assert list(stems(run)) == ["https://x/e.png"]


def test_the_kind_is_told_by_the_content():
    """The declared type and the address do not matter."""
    assert [kind_of(content) for content in (PNG, JPEG, WEBP, b"", b"GIF89a", b"<svg>")] == [
        "png",
        "jpg",
        "webp",
        None,
        None,
        None,
    ]


def test_copies_are_beside_every_report(shelf, tmp_path):
    """The HTML report links to them."""
    paths = [tmp_path / "a" / "night.html", tmp_path / "a" / "night.json", tmp_path / "b c" / "other.html"]
    run = finished("a", Outcome.FAILED, screenshots=(f"{shelf.url}/good.png",))
    write_report(
        [str(path) for path in paths], {"verdict": "failed"}, [run], Lines(), screenshots=True, loopback=True
    )
    (name,) = {path.name for path in tmp_path.rglob("*.png")}
    assert sorted(path.parent.name for path in tmp_path.rglob("*.png")) == [
        "night.screenshots",
        "other.screenshots",
    ]
    assert f'href="night.screenshots/{name}"' in paths[0].read_text()
    assert json.loads(paths[1].read_text())["runs"][0]["screenshots"] == [f"{shelf.url}/good.png"]


def test_what_cannot_be_written_hides_nothing(shelf, tmp_path):
    """The report is there, with links to the service."""
    (tmp_path / "night.screenshots").write_text("a file is in the way")
    run = finished("a", Outcome.FAILED, screenshots=(f"{shelf.url}/good.png",))
    log = Lines()
    write_report(
        str(tmp_path / "night.json"), {"verdict": "failed"}, [run], log, screenshots=True, loopback=True
    )
    assert (tmp_path / "night.json").exists()
    assert any(level == "WARNING" for level, _ in log.told)


@pytest.mark.parametrize(
    ("path", "folder", "link"),
    [
        ("s3://conn@bucket/a/b.html", "s3://conn@bucket/a/b.screenshots", "b.screenshots"),
        ("/x/y.HTML ", "/x/y.screenshots", "y.screenshots"),
        ("a b.json", "a b.screenshots", "a%20b.screenshots"),
    ],
)
def test_where_the_folder_is(path, folder, link):
    name = "0" * 32 + ".png"
    assert folder_of(path) == folder
    assert links(path, {"https://x": name, "https://y": "../../etc/passwd"}) == {
        "https://x": f"{link}/{name}"
    }


def test_an_operator_copies(tries, service, tmp_path: Path):
    """From the parameter to the file, whatever the verdict."""
    task = TesterArmyRunTestOperator(
        task_id="tests",
        test_id=catalog.TEST_FAILS,
        report_path=str(tmp_path / "night.json"),
        copy_screenshots=True,
    )
    assert isinstance(tries.execute(task), TestsFailed)
    kept = list((tmp_path / "night.screenshots").iterdir())
    assert kept
    assert all(kind_of(path.read_bytes()) == "png" for path in kept)


def test_copies_need_a_report():
    """The copies are stored beside a report."""
    with pytest.raises(ValueError, match="report_path"):
        TesterArmyRunTestOperator(task_id="tests", test_id=catalog.TEST_FAILS, copy_screenshots=True)


def test_names_differ_from_run_to_run():
    """Two runs may have the same address for different pictures."""
    runs = [finished(each, screenshots=("https://x/p.png",)) for each in ("a", "b")]
    assert len(set(itertools.chain.from_iterable(stems(run).values() for run in runs))) == 2
