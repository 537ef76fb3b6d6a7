"""Certificates of the listener: files of the operator, or one that is made here and signs itself.

Refuses files that do not fit together before the listener opens. Runs at start, before the loop
serves.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from citadel.errors import BadConfig
from engine.settings import Settings, split_address

if TYPE_CHECKING:
    from cryptography import x509

VALID_DAYS = 397
RENEW_DAYS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """PEM files: a chain, its key, and the authority of the clients where they must show one."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """What gRPC listens with.

        Raises:
            BadConfig: a file cannot be read, or they do not fit together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain, key = _read(self.cert), _read(self.key)
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise BadConfig(
                f"certificate {self.cert} and key {self.key} do not make a pair: {error}",
                subject=str(self.cert),
                remedy="Give PEM files of one pair, the key without a password",
            ) from error
        client_ca = None
        if self.client_ca is not None:
            client_ca = _read(self.client_ca)
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError as error:
                raise BadConfig(
                    f"{self.client_ca} is no certificate of an authority: {error}",
                    subject=str(self.client_ca),
                    remedy="Give a PEM file",
                ) from error
        return grpc.ssl_server_credentials(
            [(key, chain)], root_certificates=client_ca, require_client_auth=client_ca is not None
        )


def self_signed(folder: Path, host: str, client_ca: Path | None = None) -> Certificate:
    """A certificate of our own below `folder`; made when there is none that is good for `host`."""
    made = Certificate(cert=folder / "cert.pem", key=folder / "key.pem", client_ca=client_ca)
    names = sorted({"localhost", "127.0.0.1", "::1", socket.gethostname(), *_concrete(host)})
    try:
        if not _still_good(made, names):
            folder.mkdir(parents=True, exist_ok=True)
            _make(made, names)
    except OSError as error:
        raise BadConfig(
            f"cannot write a certificate to {folder}: {error.strerror}",
            subject=str(folder),
            remedy="Give a folder that can be written: --data-dir DIR",
        ) from error
    return made


def fingerprint(cert: Path) -> str:
    """The SHA-256 of a certificate, as browsers and openssl show it."""
    from cryptography import x509  # noqa: PLC0415 - only an engine that signs itself pays
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    digest = x509.load_pem_x509_certificate(cert.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()


def _concrete(host: str) -> set[str]:
    return set() if host in {"0.0.0.0", "::"} else {host}  # noqa: S104 - compared, not bound


def _still_good(made: Certificate, names: list[str]) -> bool:
    from cryptography import x509  # noqa: PLC0415 - only an engine that signs itself pays

    if not made.cert.exists() or not made.key.exists():
        return False
    try:
        old = x509.load_pem_x509_certificate(made.cert.read_bytes())
        covered = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    known = {str(name.value) for name in covered}
    fresh = dt.datetime.now(dt.UTC) + dt.timedelta(days=RENEW_DAYS)
    return set(names) <= known and old.not_valid_after_utc > fresh


def _make(made: Certificate, names: list[str]) -> None:
    from cryptography import x509  # noqa: PLC0415 - only an engine that signs itself pays
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "citadel engine")])
    now = dt.datetime.now(dt.UTC)
    alternatives = x509.SubjectAlternativeName([_general_name(each) for each in names])
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    made.key.unlink(missing_ok=True)
    with os.fdopen(os.open(made.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    made.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))


def _general_name(text: str) -> x509.GeneralName:
    from cryptography import x509  # noqa: PLC0415 - only an engine that signs itself pays

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _no_password() -> str:
    raise ValueError("the key asks for a password")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfig(
            f"cannot read {path}: {error.strerror}", subject=str(path), remedy="Give a PEM file"
        ) from error


def certificate_of(settings: Settings, folder: Path) -> Certificate | None:
    """What the settings say; one that this engine makes itself is named on standard error."""
    tls = settings.tls
    if tls.self_signed:
        made = self_signed(folder / "tls", split_address(settings.listen)[0], tls.client_ca)
        sys.stderr.write(f"certificate {made.cert}, SHA-256 {fingerprint(made.cert)}\n")
        return made
    if tls.cert is None or tls.key is None:
        return None
    return Certificate(cert=tls.cert, key=tls.key, client_ca=tls.client_ca)
