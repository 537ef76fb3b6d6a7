from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from citadel.errors import BadConfig
from citadel.wire.columns import pack, rows, unpack
from citadel.wire.messages import Gap, SnapshotReply, WatchBatch
from citadel.wire.topics import TOPICS
from engine.telemetry.recording_file import About, RecordingFile, RecordingWriter

ABOUT = About(name="mine", engine={"version": "1", "hostname": "h"}, since_ns=5)


def event(number: int) -> WatchBatch:
    row = (number, "info", "engine.started", str(number), "", 0, 0, "", "{}")
    return WatchBatch(
        instance_id="i",
        first_seq=number,
        last_seq=number,
        time_unix_nanos=number,
        batches=(pack("event", [row]),),
    )


def written(path: Path, count: int) -> RecordingWriter:
    writer = RecordingWriter(path, ABOUT, SnapshotReply(instance_id="i", seq=0, time_unix_nanos=5))
    for number in range(1, count + 1):
        writer.write(event(number))
    return writer


def test_what_was_written_is_read_in_order_from_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.citadel"
    writer = written(path, 20)
    writer.write(WatchBatch(last_seq=30, gap=Gap(from_seq=21, to_seq=30, cause="slow_client")))
    writer.close(99)
    assert [each.name for each in tmp_path.iterdir()] == ["a.citadel"]
    path.chmod(0o444)
    file = RecordingFile(path)
    assert (file.about.closed, file.about.until_ns, file.about.name) == (True, 99, "mine")
    batches = list(file.batches())
    assert [batch.last_seq for batch in batches] == [*range(1, 21), 30]
    assert batches[-1].gap is not None
    assert rows(unpack(batches[6].batches[0]))[0]["subject"] == "7"
    assert (writer.rows, writer.dropped) == (20, 10)


def test_a_killed_writer_loses_at_most_one_batch(tmp_path: Path) -> None:
    path = tmp_path / "a.citadel"
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_recording_file import written
written(Path({str(path)!r}), 50)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    file = RecordingFile(path)
    assert not file.about.closed
    assert file.about.until_ns == 50
    assert [batch.last_seq for batch in file.batches()] == list(range(1, 51))


def test_secrets_leave_what_users_fill(tmp_path: Path) -> None:
    names = list(TOPICS["mission"].columns)
    values = {"id": "m", "parameters": json.dumps({"api_key": "hush", "path": "."})}
    row = [
        values.get(name, 0 if TOPICS["mission"].columns[name] != "str" else "") for name in names
    ]
    before = json.dumps({"headers": {"authorization": "Bearer hushhushhush"}})
    entry = (1, 1, "a", "x", "y", before, "{}", "", "h")
    snapshot = SnapshotReply(batches=(pack("mission", [row]), pack("audit", [entry])))
    RecordingWriter(tmp_path / "a.citadel", ABOUT, snapshot).close(9)
    begin = RecordingFile(tmp_path / "a.citadel").snapshot()
    told = {each.topic: rows(unpack(each))[0] for each in begin.batches}
    assert "hush" not in json.dumps(told)
    assert json.loads(told["mission"]["parameters"])["path"] == "."


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_text("no database at all"), "damaged|no recording"),
        (lambda path: path.write_bytes(b""), "no recording"),
        (lambda path: _pragma(path, "application_id = 7"), "no recording"),
        (lambda path: _pragma(path, "user_version = 99"), "newer Citadel"),
        (lambda path: path.write_bytes(path.read_bytes()[:6_000]), "damaged"),
    ],
)
def test_what_is_no_sound_recording_is_refused(tmp_path: Path, spoil: object, told: str) -> None:
    path = tmp_path / "a.citadel"
    written(path, 200).close(9)
    spoil(path)  # type: ignore[operator]
    with pytest.raises(BadConfig, match=told):
        list(RecordingFile(path).batches())


def _pragma(path: Path, text: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA {text}")
    db.close()
