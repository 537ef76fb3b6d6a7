"""The listener: ports, TLS, health and reflection."""

import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from citadel.client.connection import TLS
from citadel.errors import AddressInUse, BadConfig, TlsMismatch, Unavailable
from citadel.wire import codec
from citadel.wire.messages import InfoRequest
from engine.api.auth import Token, sha256_of
from engine.api.engine_service import EngineServicer, describe
from engine.api.server import Listener, join_address
from engine.api.tls import Certificate, fingerprint, self_signed
from engine.telemetry.hub import LiveHub

TOKENS = (Token(name="a", role="admin", sha256=sha256_of("a")),)


@pytest.fixture
def engine(hub: LiveHub) -> dict[str, EngineServicer]:
    about = describe("instance", (), "")
    return {"Engine": EngineServicer(about=about, hub=hub, store=None)}  # type: ignore[arg-type]


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port}") as caught:
            Listener(()).bind("127.0.0.1", port, None)
    assert caught.value.remedy


async def test_two_listeners_do_not_share_a_port() -> None:
    first = Listener(())
    _, _, port = first.bind("127.0.0.1", 0, None).rpartition(":")
    await first.start()
    with pytest.raises(AddressInUse):
        Listener(()).bind("127.0.0.1", int(port), None)
    await first.stop(0)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.7"])
async def test_a_host_that_is_not_ours(host: str) -> None:
    with pytest.raises(BadConfig, match=host):
        Listener(()).bind(host, 0, None)


def test_addresses_join() -> None:
    assert join_address("::1", 3) == "[::1]:3"
    assert join_address("h", 3) == "h:3"


async def test_health_and_reflection_need_no_token(serve: Any, engine: Any) -> None:
    connection = await serve(engine, tokens=TOKENS)
    async with grpc.aio.insecure_channel(connection.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", *codec.service_names()):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for answer in reflection.ServerReflectionInfo(iter([request])):
            found = {service.name for service in answer.list_services_response.service}
    assert set(codec.service_names()) < found


async def test_health_says_when_it_stops() -> None:
    listener = Listener(())
    address = listener.bind("127.0.0.1", 0, None)
    await listener.start()
    await listener.serving(now=False)
    async with grpc.aio.insecure_channel(address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await listener.stop(0)


async def test_tls_with_a_certificate_of_our_own(serve: Any, engine: Any, tmp_path: Path) -> None:
    made = self_signed(tmp_path / "tls", "127.0.0.1")
    assert made.key.stat().st_mode & 0o077 == 0
    connection = await serve(
        engine, certificate=made, tokens=TOKENS, token="a", tls=TLS(ca=str(made.cert))
    )
    info = await connection.call("Engine.Info", InfoRequest())
    assert info.role == "admin"
    assert len(fingerprint(made.cert)) == 32 * 3 - 1


def test_a_certificate_is_kept_while_it_fits(tmp_path: Path) -> None:
    first = fingerprint(self_signed(tmp_path, "127.0.0.1").cert)
    assert fingerprint(self_signed(tmp_path, "127.0.0.1").cert) == first
    assert fingerprint(self_signed(tmp_path, "other.example").cert) != first


async def test_tls_and_plain_text_do_not_meet(serve: Any, engine: Any, tmp_path: Path) -> None:
    made = self_signed(tmp_path, "127.0.0.1")
    plain_client = await serve(engine, certificate=made)
    with pytest.raises(TlsMismatch, match="expects TLS"):
        await plain_client.call("Engine.Info", InfoRequest(), timeout=10)
    tls_client = await serve(engine, tls=TLS(ca=str(made.cert)))
    with pytest.raises(TlsMismatch):
        await tls_client.call("Engine.Info", InfoRequest(), timeout=10)


async def test_a_certificate_that_is_not_trusted(serve: Any, engine: Any, tmp_path: Path) -> None:
    made = self_signed(tmp_path / "a", "127.0.0.1")
    other = self_signed(tmp_path / "b", "127.0.0.1")
    connection = await serve(engine, certificate=made, tls=TLS(ca=str(other.cert)))
    with pytest.raises(TlsMismatch):
        await connection.call("Engine.Info", InfoRequest(), timeout=10)


async def test_clients_must_show_a_certificate(serve: Any, engine: Any, tmp_path: Path) -> None:
    made = self_signed(tmp_path / "server", "127.0.0.1")
    theirs = self_signed(tmp_path / "client", "127.0.0.1")
    asking = Certificate(cert=made.cert, key=made.key, client_ca=theirs.cert)
    bare = await serve(engine, certificate=asking, tls=TLS(ca=str(made.cert)))
    with pytest.raises(Unavailable):  # TLS 1.3: the client is done before it is refused
        await bare.call("Engine.Info", InfoRequest(), timeout=10)
    shown = TLS(ca=str(made.cert), cert=str(theirs.cert), key=str(theirs.key))
    assert await (await serve(engine, certificate=asking, tls=shown)).call(
        "Engine.Info", InfoRequest(), timeout=10
    )


@pytest.mark.parametrize("broken", ["cert", "key", "client_ca"])
@pytest.mark.parametrize("how", ["missing", "garbage"])
async def test_files_that_are_no_certificates(tmp_path: Path, broken: str, how: str) -> None:
    made = self_signed(tmp_path / "tls", "127.0.0.1")
    files = {"cert": made.cert, "key": made.key, "client_ca": made.cert}
    files[broken] = tmp_path / "broken.pem"
    if how == "garbage":
        files[broken].write_text("garbage")
    with pytest.raises(BadConfig, match="broken"):
        Listener(()).bind("127.0.0.1", 0, Certificate(**files))
