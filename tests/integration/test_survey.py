"""The mission that ships, end to end: right figures, one trace, no file lost."""

import ast
import hashlib
import json
import sysconfig
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from citadel.client.client import Client
from citadel.errors import BadArguments, Conflict, InvalidRequest, NotFound, UnknownMission
from citadel.testing import assert_no_errors, assert_span, assert_whole, find_spans, recorded
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import CancelMissionRequest, Change, MissionStatus

BRANCHES = '''"""Has one of each branch."""


def plain():
    return 1


class Thing:
    def busy(self, items):
        if items and len(items) > 3 or None:
            return [i for i in items if i]
        for item in items:
            try:
                yield item
            except (KeyError, ValueError):
                pass
        while False:
            pass
        return 1 if items else 2
'''
REPEATED = "\n".join(f"value_{number} = {number}" for number in range(7)) + "\n"


async def finished(client: Client, until: Any, status: MissionStatus) -> MissionStatus:
    async def ended() -> MissionStatus | None:
        now = await client.missions.get(status.id)
        return now if now.state != "running" else None

    return await until(ended)


async def table(client: Client, mission: str) -> dict[str, dict[str, Any]]:
    result = await client.missions.result(mission)
    assert result.table is not None
    return {row["path"]: row for row in rows(unpack(result.table))}


async def test_figures_of_known_files(client: Client, until: Any, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "branches.py").write_text(BRANCHES)
    (tmp_path / "a.py").write_text(REPEATED)
    (tmp_path / "deep" / "b.py").write_text("# a comment\n\n" + REPEATED + "other = 1\n")
    (tmp_path / "broken.py").write_text("def broken(:\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "notes.txt").write_text("not Python")
    status = await client.missions.start("survey", path=str(tmp_path), actor="a test")
    status = await finished(client, until, status)
    assert (status.state, status.done, status.total, status.failed) == ("finished", 5, 5, 1)
    found = await table(client, status.id)
    assert set(found) == {"branches.py", "a.py", "deep/b.py", "broken.py", "empty.py"}
    busy = found["branches.py"]
    # busy: 1, if 1, and 1, or 1, comprehension 2, for 1, except 1, while 1, conditional 1
    assert (busy["functions"], busy["classes"]) == (2, 1)
    assert (busy["complexity_max"], busy["complexity_sum"]) == (10, 11)
    assert busy["summary_source"] == "simulated"
    assert "one of each branch" in busy["summary"]
    assert found["a.py"]["duplicated_lines"] == found["deep/b.py"]["duplicated_lines"] == 7
    assert (found["deep/b.py"]["lines"], found["a.py"]["code_tokens"]) == (10, 21)
    assert found["broken.py"]["status"] == "error"
    assert "SyntaxError" in found["broken.py"]["error"]
    assert found["empty.py"]["status"] == "ok"
    for name, row in found.items():
        data = (tmp_path / name).read_bytes()
        assert row["bytes"] == len(data)
        if row["status"] == "ok":
            assert row["sha256"] == hashlib.sha256(data).hexdigest()
    summary = json.loads(status.summary_json)
    assert (summary["files"], summary["errors"], summary["duplicated_lines"]) == (5, 1, 14)
    assert summary["summary_source"] == "simulated"


async def test_figures_of_real_packages_against_another_count(client: Client, until: Any) -> None:
    folder = Path(sysconfig.get_path("stdlib")) / "asyncio"
    status = await client.missions.start("survey", path=str(folder), summarise=False, seed=7)
    status = await finished(client, until, status)
    assert status.state == "finished"
    found = await table(client, status.id)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
    assert set(found) == set(files)
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    repeated = duplicates(texts)
    for name, text in texts.items():
        row = found[name]
        nodes = list(ast.walk(ast.parse(text)))
        functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert row["functions"] == len(functions)
        assert row["classes"] == sum(isinstance(n, ast.ClassDef) for n in nodes)
        assert row["lines"] == len(text.split("\n")) - text.endswith("\n")
        assert row["sha256"] == hashlib.sha256(files[name].read_bytes()).hexdigest()
        assert row["duplicated_lines"] == repeated[name], name
    checked = [row["verified"] for row in found.values() if row["verified"]]
    assert checked
    assert set(checked) == {"ok"}


def duplicates(texts: dict[str, str]) -> dict[str, int]:
    """Lines in runs of six code lines that stand in two places: with strings and sets."""
    windows: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for name, text in texts.items():
        stripped = [line.strip() for line in text.split("\n")]
        code = [n for n, line in enumerate(stripped) if line and line[0] != "#"]
        windows[name] = [
            ("\n".join(stripped[n] for n in run), tuple(run))
            for run in (code[at : at + 6] for at in range(len(code) - 5))
        ]
    seen = Counter(text for each in windows.values() for text, _ in each)
    return {
        name: len({line for text, run in each if seen[text] > 1 for line in run})
        for name, each in windows.items()
    }


async def test_one_trace_crosses_everything(client: Client, until: Any, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text('"""A module."""\n')
    status = await client.missions.start(
        "survey", path=str(tmp_path), name="traced", mission_class="critical"
    )
    status = await finished(client, until, status)
    spans = await recorded(client, status.trace_id, source="client")
    assert {span["source"] for span in spans} >= {
        "client", "api", "sentinel", "guard", "provider", "pool", "worker",
    }  # fmt: skip
    root = assert_whole(spans)
    assert_no_errors(spans)
    assert root["source"] == "client"
    chat = assert_span(spans, source="provider")
    assert chat["attributes"]["citadel.simulated"] is True
    inner = [span for span in spans if span["source"] not in ("client", "api")]
    assert {(span["mission"], span["mission_class"]) for span in inner} == {("traced", "critical")}
    # each file is a trace of its own
    found = rows(await client.traces.search('name="survey file" and mission="traced"'))
    assert len(found) == 1
    file = await recorded(client, f"{found[0]['trace_hi']:016x}{found[0]['trace_lo']:016x}")
    assert_whole(file)
    assert find_spans(file, source="worker", name="run survey_file")
    assert find_spans(file, source="user", name="measure")


@pytest.mark.emits("mission.pass")
async def test_a_loop_at_a_rate_is_paced_and_cancelled(
    client: Client, until: Any, tmp_path: Path
) -> None:
    for number in range(5):
        (tmp_path / f"m{number}.py").write_text("x = 1\n")
    status = await client.missions.start(
        "survey", path=str(tmp_path), loop=True, rate=200, summarise=False
    )

    async def passed() -> bool:
        return (await client.missions.get(status.id)).passes >= 1

    await until(passed)
    changed = await client.missions.set_rate(status.id, 50, revision=status.revision)
    assert changed.rate == 50
    assert changed.revision > status.revision
    with pytest.raises(Conflict) as caught:
        await client.missions.set_rate(status.id, 60, revision=status.revision)
    assert caught.value.details["current"] == str(changed.revision)
    with pytest.raises(Conflict):
        await client.connection.call(
            "Missions.Cancel",
            CancelMissionRequest(id=status.id, change=Change(revision=status.revision)),
        )
    cancelled = await client.missions.cancel(status.id, actor="a test", reason="enough")
    assert cancelled.state == "cancelled"
    sentinels = await client.sentinels.list(status.id)
    assert {sentinel.state for sentinel in sentinels} == {"stopped"}
    with pytest.raises(NotFound, match="cancelled"):
        await client.missions.cancel(status.id)
    entries, intact = await client.audit()
    assert intact
    last = [
        (actor, action, subject, reason)
        for actor, action, subject, reason in zip(
            *(entries[key].tolist() for key in ("actor", "action", "subject", "reason")),
            strict=True,
        )
        if subject == status.id
    ]
    assert [action for _, action, _, _ in last] == [
        "mission.start",
        "mission.set_rate",
        "mission.cancel",
    ]
    assert last[-1] == ("a test", "mission.cancel", status.id, "enough")


async def test_what_cannot_be_surveyed_is_told(client: Client, tmp_path: Path) -> None:
    with pytest.raises(UnknownMission, match="surveil") as caught:
        await client.missions.start("surveil")
    assert "survey" in caught.value.remedy
    with pytest.raises(BadArguments, match="limits"):
        await client.missions.start("survey", limits=3)
    with pytest.raises(BadArguments, match="limit"):
        await client.missions.start("survey", limit="many")
    with pytest.raises(InvalidRequest, match="does not exist"):
        await client.missions.start("survey", path=str(tmp_path / "none"))
    with pytest.raises(InvalidRequest, match="mission class"):
        await client.missions.start("survey", path=str(tmp_path), mission_class="urgent")
    with pytest.raises(UnknownMission):
        await client.missions.get("none")


async def test_an_empty_folder_is_an_empty_table(
    client: Client, until: Any, tmp_path: Path
) -> None:
    status = await client.missions.start("survey", path=str(tmp_path))
    status = await finished(client, until, status)
    assert (status.state, status.total) == ("finished", 0)
    assert await table(client, status.id) == {}


async def test_kinds_come_with_a_schema(client: Client) -> None:
    (kind,) = await client.missions.kinds()
    assert kind.name == "survey"
    assert set(json.loads(kind.parameters_schema)["properties"]) >= {
        "path",
        "limit",
        "rate",
        "loop",
    }
