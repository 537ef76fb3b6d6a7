"""Starts a worker's process and connects its link: a socket pair, or loopback TCP with a token.

Loop thread only. What was begun is undone when the start fails or is cancelled.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from engine.pool.hosting import TOKEN_VARIABLE, Charge
from engine.pool.link import Link, Process

_ROOT = str(Path(__file__).resolve().parents[2])
_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

MakeProcess = Callable[[], Process]
MakeLink = Callable[[bytes], Link]


async def spawn(
    charge: Charge, slate: int, make_process: MakeProcess, make_link: MakeLink
) -> tuple[Process, Link]:
    """The way that this system offers.

    Raises:
        OSError: the process cannot be started.
    """
    way = over_tcp if sys.platform == "win32" else over_pair
    return await way(charge, slate, make_process, make_link)


async def over_pair(
    charge: Charge, slate: int, make_process: MakeProcess, make_link: MakeLink
) -> tuple[Process, Link]:
    """A socket pair whose other end the process inherits."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    process = make_process()
    try:
        with theirs:
            ours.setblocking(False)
            told = replace(charge, link=f"fd:{theirs.fileno()}")
            await _start(process, told, descriptors=(theirs.fileno(), slate))
        _, link = await loop.create_unix_connection(lambda: make_link(b""), sock=ours)
    except BaseException:
        await process.end()
        ours.close()
        raise
    return process, link


async def over_tcp(
    charge: Charge, slate: int, make_process: MakeProcess, make_link: MakeLink
) -> tuple[Process, Link]:
    """Where descriptors cannot be handed down: loopback, and a token that proves the process."""
    token = secrets.token_bytes(32)
    link, process = make_link(token), make_process()
    free = [link]

    def only_one() -> asyncio.Protocol:
        return free.pop() if free else asyncio.Protocol()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(only_one, "127.0.0.1", 0)
    try:
        async with server:
            host, port = server.sockets[0].getsockname()[:2]
            told = replace(charge, link=f"tcp:{host}:{port}")
            await _start(process, told, descriptors=(slate,), token=token.hex())
            await asyncio.wait({link.proved, process.exited}, return_when=asyncio.FIRST_COMPLETED)
    except BaseException:
        await process.end()
        link.close()
        raise
    return process, link


async def _start(
    process: Process, charge: Charge, *, descriptors: tuple[int, ...], token: str = ""
) -> None:
    environment = {**dict.fromkeys(_THREAD_LIMITS, "1"), **os.environ, "PYTHONUNBUFFERED": "1"}
    paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    if token:
        environment[TOKEN_VARIABLE] = token
    command = (sys.executable, "-m", "engine.pool.child", json.dumps(asdict(charge)))
    start = partial(
        asyncio.get_running_loop().subprocess_exec,
        lambda: process,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    if sys.platform == "win32":
        await start()
    else:
        handed = tuple(each for each in descriptors if each >= 0)
        await start(pass_fds=handed, start_new_session=True)
