from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citadel.errors import BadConfig
from engine.storage import store as module
from engine.storage.store import Document, OperationalStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[OperationalStore]:
    store = OperationalStore.in_folder(tmp_path)
    await store.open()
    yield store
    await store.close()


def edit(folder: Path, sql: str, *values: Any) -> None:
    """Changes the database behind the store's back."""
    with sqlite3.connect(folder / "citadel.db") as connection:
        connection.execute(sql, values)
    connection.close()


async def append(store: OperationalStore, number: int) -> None:
    await store.append_audit(
        "ana", "pool.resize", f"pool {number}", {"size": number}, {"size": number + 1}, "load"
    )


def document(revision: int, body: str = '{"x": 1}') -> Document:
    return Document(
        name="sampling", revision=revision, body=body, actor="ana", reason="r", time_ns=revision
    )


async def test_the_trail_is_numbered_chained_and_intact(store: OperationalStore) -> None:
    assert await store.audit() == []
    assert await store.audit_intact()
    for number in range(5):
        await append(store, number)
    entries = await store.audit()
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert len({entry.hash for entry in entries}) == 5
    assert entries[2].before == '{"size": 2}'
    assert await store.audit_intact()


async def test_a_page_is_the_newest_entries_oldest_first(store: OperationalStore) -> None:
    for number in range(6):
        await append(store, number)
    assert [entry.seq for entry in await store.audit(limit=2)] == [5, 6]
    assert [entry.seq for entry in await store.audit(after=4)] == [5, 6]
    assert await store.audit(after=6) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'mallory' WHERE seq = 2",
        "UPDATE audit SET after = '{\"size\": 99}' WHERE seq = 3",
        "UPDATE audit SET time_ns = time_ns + 1 WHERE seq = 1",
        "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET seq = 9 WHERE seq = 3",
    ],
)
async def test_tampering_shows(store: OperationalStore, tmp_path: Path, sql: str) -> None:
    for number in range(3):
        await append(store, number)
    assert await store.audit_intact()
    edit(tmp_path, sql)
    assert not await store.audit_intact()


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1, max_size=4))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_words_are_kept_and_chained(
    tmp_path: Path, entries: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))

    async def run() -> None:
        store = OperationalStore.in_folder(folder)
        await store.open()
        for actor, subject, reason in entries:
            await store.append_audit(actor, "a", subject, None, {"text": reason}, reason)
        kept = [(entry.actor, entry.subject, entry.reason) for entry in await store.audit()]
        assert kept == entries
        assert await store.audit_intact()
        await store.close()

    asyncio.run(run())


async def test_entries_appended_at_once_make_one_chain(store: OperationalStore) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(append(store, number))
    assert [entry.seq for entry in await store.audit()] == list(range(1, 21))
    assert await store.audit_intact()


async def test_a_document_and_its_entry_are_written_together(store: OperationalStore) -> None:
    entry = await store.save_document(document(1), {})
    assert (entry.action, entry.subject) == ("sampling.apply", "sampling revision 1")
    assert await store.load_document("sampling") == document(1)
    with pytest.raises(Exception, match="UNIQUE"):
        await store.save_document(document(1, '{"x": 2}'), {})
    assert await store.load_document("sampling") == document(1)
    assert [each.seq for each in await store.audit()] == [1]


async def test_revisions_are_kept(store: OperationalStore) -> None:
    for revision in (1, 2, 3):
        await store.save_document(document(revision), {})
    assert (await store.load_document("sampling")) == document(3)
    assert (await store.load_document("sampling", 2)) == document(2)
    assert await store.load_document("sampling", 9) is None
    assert await store.load_document("other") is None


async def test_missions_are_remembered_the_oldest_forgotten(
    store: OperationalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MISSIONS_KEPT", 3)
    for number in range(5):
        await store.save_mission(f"m{number}", number, f"body {number}")
    await store.save_mission("m4", 4, "body 4, later")
    assert await store.missions() == ["body 2", "body 3", "body 4, later"]


async def test_all_of_it_outlives_the_engine(tmp_path: Path) -> None:
    for start in range(3):
        store = OperationalStore.in_folder(tmp_path)
        await store.open()
        assert len(await store.audit()) == start
        await append(store, start)
        assert await store.audit_intact()
        await store.close()


async def test_what_is_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys, pathlib\n"
        "from engine.storage.store import OperationalStore\n"
        "async def main():\n"
        "    store = OperationalStore.in_folder(pathlib.Path(sys.argv[1]))\n"
        "    await store.open()\n"
        "    await store.append_audit('ana', 'a', 's', None, None, '')\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    import sys

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(tmp_path))
    assert await asyncio.wait_for(process.wait(), 60) == -9
    store = OperationalStore.in_folder(tmp_path)
    await store.open()
    assert [entry.actor for entry in await store.audit()] == ["ana"]
    await store.close()


async def test_the_migrations_make_what_the_code_expects(
    store: OperationalStore, tmp_path: Path
) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    from engine.storage.schema import METADATA

    engine = create_engine(f"sqlite:///{tmp_path / 'citadel.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


async def test_a_database_of_a_newer_citadel_is_refused(tmp_path: Path) -> None:
    store = OperationalStore.in_folder(tmp_path)
    await store.open()
    await store.close()
    edit(tmp_path, "UPDATE alembic_version SET version_num = '9999'")
    newer = OperationalStore.in_folder(tmp_path)
    with pytest.raises(BadConfig, match="from a newer Citadel") as caught:
        await newer.open()
    await newer.close()
    assert str(tmp_path) in caught.value.subject


async def test_a_damaged_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "citadel.db"
    path.write_text("this is no database" * 100)
    store = OperationalStore.in_folder(tmp_path)
    with pytest.raises(BadConfig, match="it is damaged") as caught:
        await store.open()
    await store.close()
    assert "backup" in caught.value.remedy
    assert path.read_text().startswith("this is no database")


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = OperationalStore.in_folder(tmp_path / "file")
    with pytest.raises(BadConfig, match="cannot be opened") as caught:
        await store.open()
    await store.close()
    assert "--data-dir" in caught.value.remedy


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    async def run() -> None:
        store = OperationalStore.in_folder(tmp_path)
        with pytest.raises(BadConfig, match="cannot be opened"):
            await store.open()
        await store.close()

    asyncio.run(run())
