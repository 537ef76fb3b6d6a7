"""What the engine and a node say to each other, over one connection for all workers of the node.

Each record is a header (worker, length) and so many bytes: frames of that worker's link, whole or
cut anywhere, as they came. Worker 0 is the node itself; its frames are the constants below. A
record is passed on as it arrives, so its length bounds no memory. Sans-IO, light.

A connection begins with a proof by both sides that they know the node's one-time token. The token
is never sent: the node says its key and a number used once, the engine answers with its own and an
HMAC of both, the node with another. What follows is neither encrypted nor signed, as with Ray.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from citadel.errors import Unauthenticated

NODE = 0
"""The worker number of what concerns the node itself."""
HEADER = struct.Struct(">II")

SPAWN = 1
"""engine: [SPAWN, worker, charge]: start a worker"""
KILL = 2
"""engine: [KILL, worker]"""
PING = 3
"""engine: [PING, engine's clock]"""
LEAVE = 4
"""engine: [LEAVE]: kill the workers and end"""

STARTED = 11
"""node: [STARTED, worker, process id]"""
UNSTARTED = 12
"""node: [UNSTARTED, worker, why]"""
PRINTED = 13
"""node: [PRINTED, worker, line, how many before it were too many to be told]"""
UNSENT = 14
"""node: [UNSENT, worker, frames]: answers that waited on the worker's slate"""
ENDED = 15
"""node: [ENDED, worker, exit code, numbers that ran, frames]: all else that it said came before"""
PONG = 16
"""node: [PONG, engine's clock as it came, node's clock, [[worker, beats, *Usage], ...]]"""
NOTICE = 17
"""node: [NOTICE, event, subject, text]: of a zygote there"""

MAGIC = b"CTN1"
KEY_BYTES = 16
NONCE_BYTES = 32
TOKEN_BYTES = 32
PROOF_BYTES = 32
HELLO_BYTES = len(MAGIC) + KEY_BYTES + NONCE_BYTES
ANSWER_BYTES = NONCE_BYTES + PROOF_BYTES
HANDSHAKE_SECONDS = 10.0
"""How long a connection may take to prove itself."""

PING_SECONDS = 1.0
"""Between two pings of a node, unless its workers' heartbeats are to come more often."""
SILENCE_SECONDS = 10.0
"""A side that hears nothing for so long takes the other for lost; a node then kills its workers."""


def record(worker: int, frames: list[bytes]) -> Iterator[bytes]:
    """The header and the frames of one record."""
    yield HEADER.pack(worker, sum(map(len, frames)))
    yield from frames


class Records:
    """Bytes as they come, to pieces of each worker's stream."""

    __slots__ = ("_head", "_left", "_worker")

    def __init__(self) -> None:
        self._head = b""
        self._worker = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterable[tuple[int, bytes]]:
        """The pieces in the data, in their order."""
        found: list[tuple[int, bytes]] = []
        at, end = 0, len(data)
        while at < end:
            if not self._left:
                take = HEADER.size - len(self._head)
                self._head += data[at : at + take]
                at += take
                if len(self._head) < HEADER.size:
                    break
                self._worker, self._left = HEADER.unpack(self._head)
                self._head = b""
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            found.append((self._worker, piece))
        return found


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a node needs to be let in, once."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES))
    token: bytes = field(default_factory=lambda: secrets.token_bytes(TOKEN_BYTES), repr=False)


def hello(ticket: Ticket) -> tuple[bytes, bytes]:
    """The node's first words, and the nonce in them."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return MAGIC + ticket.key + nonce, nonce


def key_of(words: bytes) -> tuple[bytes, bytes]:
    """The key and the nonce in a node's first words.

    Raises:
        Unauthenticated: they are not a node's.
    """
    if not words.startswith(MAGIC):
        raise Unauthenticated("this is no node of ours")
    at = len(MAGIC) + KEY_BYTES
    return words[len(MAGIC) : at], words[at:]


def answer(ticket: Ticket, node: bytes) -> tuple[bytes, bytes]:
    """The engine's answer to a node's nonce, and the engine's own nonce in it."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _proof(ticket, b"engine", node, nonce), nonce


def confirm(ticket: Ticket, node: bytes, words: bytes) -> bytes:
    """The node's proof, once the engine's answer is one.

    Raises:
        Unauthenticated: whoever answered does not know the token.
    """
    nonce, proof = words[:NONCE_BYTES], words[NONCE_BYTES:]
    if not hmac.compare_digest(proof, _proof(ticket, b"engine", node, nonce)):
        raise Unauthenticated("who answered is not the engine of this node")
    return _proof(ticket, b"node", node, nonce)


def check(ticket: Ticket, node: bytes, engine: bytes, proof: bytes) -> None:
    """Raises when a node's proof is none.

    Raises:
        Unauthenticated: it does not know the token.
    """
    if not hmac.compare_digest(proof, _proof(ticket, b"node", node, engine)):
        raise Unauthenticated("a node has no valid token")


def _proof(ticket: Ticket, side: bytes, node: bytes, engine: bytes) -> bytes:
    return hmac.digest(ticket.token, side + ticket.key + node + engine, "sha256")
