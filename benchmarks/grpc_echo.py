"""The peer of pool_wire: a bare grpc.aio server that gives back what it gets.

Run as a child process: says its port in one line, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import grpc.aio

PATH = "/echo.Echo/Echo"


async def _echo(data: bytes, context: object) -> bytes:
    del context
    return data


async def _serve() -> None:
    handler = grpc.unary_unary_rpc_method_handler(_echo)
    service, _, method = PATH[1:].partition("/")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(_serve())
