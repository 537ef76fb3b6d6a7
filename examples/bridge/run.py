"""Statistics, linear algebra and a database in a pool's workers, through a generated SDK.

Run it from this folder, or from anywhere: `python examples/bridge/run.py`. It starts an engine of
its own. `maths_sdk.py` is made by `citadel bridge generate bridge.yaml --out maths_sdk.py`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from maths_sdk import MathsSdk

import citadel
from citadel.client.local import LocalEngine
from citadel.errors import UnknownReference

HERE = Path(__file__).resolve().parent


async def main() -> None:
    """Calls functions, keeps objects in a worker, and lets them go."""
    async with (
        LocalEngine(["--config", str(HERE / "engine.toml")]) as engine,
        citadel.connect(engine.address, token=engine.token) as client,
    ):
        await talk(client)


async def talk(client: citadel.Client) -> None:
    """One session on the pool `maths`."""
    async with MathsSdk(client, "maths") as maths:
        print("mean:", await maths.statistics.mean([1, 2, 4]))

        matrix = np.array([[3.0, 1.0], [1.0, 2.0]])
        print("solved:", await maths.linalg.solve(matrix, np.array([9.0, 8.0])))

        # An object that stays in the worker: what we hold is a reference.
        heights = await maths.statistics.new_normal_dist(mu=170, sigma=9)
        print("below 180:", round(await heights.cdf(180), 3))

        database = await maths.sqlite3.connect(":memory:")
        await database.execute("create table peaks (name text, metres integer)")
        rows = [["Eiger", 3967], ["Mönch", 4110], ["Jungfrau", 4158]]
        await database.executemany("insert into peaks values (?, ?)", rows)

        # Several calls of one object in one trip.
        done = await maths.bulk(
            database,
            [
                ["execute", ["delete from peaks where metres < 4000"]],
                ["commit"],
            ],
        )
        print("failed:", done["failed"])

        # An iterator: its items come in batches.
        found = await database.execute("select name, metres from peaks order by metres")
        async for name, metres in maths.items(found):
            print(f"  {name}: {metres} m")

    # The session has let its objects go.
    try:
        await database.commit()
    except UnknownReference as error:
        print("afterwards:", error)


if __name__ == "__main__":
    asyncio.run(main())
