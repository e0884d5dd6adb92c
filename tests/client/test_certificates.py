"""Certificates: both runners trust the authorities that requests is told to trust, and no others."""

from __future__ import annotations

import asyncio
import datetime
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.flows import Flow, Group
from airflow_provider_twilio_comms.client import aio, sync
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import TransportFailed
from tests.conftest import environment

EMPTY = b'{"messages": [], "next_page_uri": null}'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(EMPTY)))
        self.end_headers()
        self.wfile.write(EMPTY)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


def own_authority(folder: Path) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "authority.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return own_authority(tmp_path)


@pytest.fixture
def config(bundle: Path) -> Iterator[Config]:
    """A connection to a server with that certificate."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    base = f"https://localhost:{server.server_address[1]}/{{product}}"
    yield Config("AC" + "0" * 32, "AC" + "0" * 32, "secret", base_url=base, timeout=5, max_attempts=1)
    server.shutdown()
    thread.join()
    server.server_close()


def together() -> Flow[int]:
    """Two lists at once; returns how many came."""
    group, came = Group(((number, messages.list()) for number in range(2)), 2), 0
    while ended := (yield group):
        for each in ended:
            if each.error is not None:
                raise each.error
            came += 1
    return came


async def arun(config: Config) -> int:
    async with aio.connected(config) as client:
        return await client.run(together())


def test_requests_at_once_trust_what_single_requests_trust(config: Config, bundle: Path) -> None:
    with environment(REQUESTS_CA_BUNDLE=str(bundle)):
        with sync.connected(config) as client:
            assert client.run(messages.list()).items == []
            assert client.run(together()) == 2
        assert asyncio.run(arun(config)) == 2


def test_an_authority_that_nobody_named_is_not_trusted(config: Config, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with environment(REQUESTS_CA_BUNDLE=str(own_authority(tmp_path / "other"))):
        with sync.connected(config) as client, pytest.raises(TransportFailed):
            client.run(together())
        with pytest.raises(TransportFailed):
            asyncio.run(arun(config))
