from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from citadel.errors import Conflict, NotFound
from engine.storage.store import AuditEntry, OperationalStore
from engine.storage.versioned import Versioned, VersionedDocument

Policy = VersionedDocument[list[int]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[OperationalStore]:
    store = OperationalStore.in_folder(tmp_path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def trail() -> list[AuditEntry]:
    return []


@pytest.fixture
def make(store: OperationalStore, trail: list[AuditEntry]) -> Callable[[], Policy]:
    return lambda: VersionedDocument(
        "policy", [1], store, encode=list, decode=list, on_audit=trail.append
    )


async def test_the_default_is_the_first_revision_and_audited(
    make: Callable[[], Policy], trail: list[AuditEntry]
) -> None:
    policy = make()
    told: list[Versioned[list[int]]] = []
    policy.on_change.append(told.append)
    await policy.load()
    assert (policy.current.revision, policy.current.body) == (1, [1])
    assert told == [policy.current]
    assert [(entry.actor, entry.action) for entry in trail] == [("engine", "policy.apply")]


async def test_a_change_is_numbered_audited_told_and_kept(
    make: Callable[[], Policy], store: OperationalStore, trail: list[AuditEntry]
) -> None:
    policy = make()
    await policy.load()
    told: list[int] = []
    policy.on_change.append(lambda versioned: told.append(versioned.revision))
    applied = await policy.apply([2], based_on=1, actor="ana", reason="load")
    assert applied == policy.current
    assert (applied.revision, applied.actor, applied.reason) == (2, "ana", "load")
    assert told == [2]
    assert json.loads(trail[-1].before) == {"policy": [1]}
    assert json.loads(trail[-1].after) == {"policy": [2]}
    again = make()
    await again.load()
    assert again.current == applied
    assert len(trail) == 2, "loading changes nothing"
    assert await store.audit_intact()


async def test_a_stale_change_is_refused_and_names_the_current_one(
    make: Callable[[], Policy], trail: list[AuditEntry]
) -> None:
    policy = make()
    await policy.load()
    await policy.apply([2], based_on=1, actor="ana", reason="")
    with pytest.raises(Conflict, match="revision 2") as caught:
        await policy.apply([3], based_on=1, actor="bo", reason="")
    assert caught.value.details == {"current": "2", "body": "[2]"}
    assert policy.current.body == [2]
    assert len(trail) == 2
    assert (await policy.apply([3], based_on=0, actor="bo", reason="")).revision == 3


async def test_of_two_changes_at_once_one_wins(make: Callable[[], Policy]) -> None:
    policy = make()
    await policy.load()
    results = await asyncio.gather(
        *(policy.apply([n], based_on=1, actor=str(n), reason="") for n in range(10)),
        return_exceptions=True,
    )
    won = [result for result in results if isinstance(result, Versioned)]
    assert len(won) == 1
    assert all(isinstance(result, Conflict) for result in results if result is not won[0])
    assert policy.current == won[0]


async def test_changes_at_once_that_are_based_on_nothing_are_all_made(
    make: Callable[[], Policy],
) -> None:
    policy = make()
    await policy.load()

    def more(number: int) -> Callable[[list[int]], list[int]]:
        return lambda body: [*body, number]

    await asyncio.gather(
        *(policy.change(more(n), based_on=0, actor="a", reason="") for n in range(2, 6))
    )
    assert (policy.current.revision, policy.current.body) == (5, [1, 2, 3, 4, 5])
    with pytest.raises(Conflict):
        await policy.change(more(6), based_on=4, actor="a", reason="")


async def test_earlier_revisions_can_be_read(make: Callable[[], Policy]) -> None:
    policy = make()
    await policy.load()
    await policy.apply([2], based_on=0, actor="ana", reason="")
    assert (await policy.get(1)).body == [1]
    assert await policy.get(0) == await policy.get(2) == policy.current
    with pytest.raises(NotFound, match="no revision 9"):
        await policy.get(9)


async def test_a_change_whose_caller_goes_away_is_in_force_all_the_same(
    make: Callable[[], Policy], store: OperationalStore, trail: list[AuditEntry]
) -> None:
    policy = make()
    await policy.load()
    for revision in range(2, 12):
        async with asyncio.TaskGroup() as tasks:
            change = tasks.create_task(policy.apply([revision], based_on=0, actor="ana", reason=""))
            await asyncio.sleep(0)
            change.cancel()
        assert change.cancelled()
        stored = await store.load_document("policy")
        assert stored is not None
        assert stored.revision == policy.current.revision == len(trail) == revision
        assert policy.current.body == [revision]
