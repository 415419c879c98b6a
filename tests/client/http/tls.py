"""A TLS server with a self-signed certificate, and that certificate."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.client.http.rawserver import RawServer, Sends


def write_bundle(folder: Path, age: datetime.timedelta = datetime.timedelta(0)) -> Path:
    """Write a certificate of this machine that signs itself into a folder, with its key beside it.

    :param age: moves the two days for which it is valid.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of tests")])
    now = datetime.datetime.now(datetime.UTC) + age
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path = folder / "bundle.pem"
    path.write_bytes(certificate.public_bytes(pem))
    return path


class TlsServer(RawServer):
    """Speaks TLS with a certificate that only its own bundle verifies."""

    def __init__(self, bundle: Path, answer: Callable[[int, bytes], Sends], *, pause: float = 0.05) -> None:
        super().__init__(answer, pause=pause)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(bundle, bundle.with_name("key.pem"))

    @property
    def url(self) -> str:
        return super().url.replace("http://", "https://")

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.settimeout(5)
            super()._serve(self._context.wrap_socket(connection, server_side=True))
