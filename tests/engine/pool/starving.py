"""Starts workers with fewer and fewer descriptors left: `python starving.py fork|plain`.

Prints a JSON line for each number of descriptors that were left: what the start said, which
descriptors are there that were not before, and whether an older worker still lives.
"""

import asyncio
import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from engine.pool.fork_spawner import ForkSpawner
from engine.pool.forks import Key, Zygotes
from engine.pool.hosting import Charge
from engine.pool.memory import Memory
from engine.pool.settings import PoolSettings
from engine.pool.spawn import Ears, Hosted, Interpreter, PlainSpawner, Spawner
from engine.telemetry.recorder import Recorder

MOST = 40
"""Descriptors with which a start surely succeeds."""


def descriptors() -> dict[str, str]:
    found = {}
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found[each.name] = str(each.readlink())
    return found


def leave(number: int) -> None:
    """Lets this process open so many more descriptors."""
    taken = {int(each) for each in descriptors()}
    free = (each for each in range(1 << 16) if each not in taken)
    last = [next(free) for _ in range(number + 1)][-1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (last, MOST_EVER))


_, MOST_EVER = resource.getrlimit(resource.RLIMIT_NOFILE)


async def start(spawner: Spawner, memory: Memory, name: str) -> Hosted:
    charge = Charge(
        worker=name,
        pool="p",
        adapter="adapters:Tools",
        engine=os.getpid(),
        max_result_bytes=1 << 20,
    )
    ears = Ears(on_line=print, on_frame=lambda _: None, on_garbage=print)
    return await spawner.spawn(charge, ears, memory.hand_down(name))


async def end(hosted: Hosted) -> None:
    await hosted.process.end()
    await hosted.link.end()
    hosted.slate.close()


async def main(way: str) -> None:
    zygotes = Zygotes(lambda *told: print(told, file=sys.stderr))
    plain = PlainSpawner(Interpreter())
    spawner = (
        ForkSpawner(zygotes, Key(interpreter=Interpreter()), plain) if way == "fork" else plain
    )
    settings = PoolSettings(name="p", adapter="adapters:Tools")
    older = Memory(settings, Recorder())
    first = await start(spawner, older, "first")
    for left in range(MOST):
        memory = Memory(settings, Recorder())  # another one, so that its slab is made too
        before = descriptors()
        leave(left)
        said = ""
        try:
            await end(await start(spawner, memory, f"worker-{left}"))
        except OSError as error:
            said = str(error)
        resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_EVER, MOST_EVER))
        memory.close()
        more = {key: value for key, value in descriptors().items() if key not in before}
        alive = not first.process.exited.done()
        print(json.dumps({"left": left, "said": said, "more": more, "alive": alive}), flush=True)
        if not said:
            break
    await end(first)
    older.close()
    zygotes.close()


asyncio.run(main(sys.argv[1]))
