"""Days that are over leave a real engine as Parquet, and pyarrow reads them."""

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from citadel.testing import EngineUnderTest
from citadel.wire.topics import TOPICS

UTC = dt.UTC
COLUMNS = TOPICS["span"].columns


def row(day: dt.date, trace: int, **changes: Any) -> tuple[Any, ...]:
    noon = dt.datetime.combine(day, dt.time(12), UTC)
    start = int(noon.timestamp()) * 10**9 + trace
    values = {name: "" if kind == "str" else 0 for name, kind in COLUMNS.items()}
    values |= {"trace_hi": trace, "trace_lo": 2**64 - 1, "span_id": 255, "start_ns": start}
    values |= {"end_ns": start + 1_500, "kind": 2, "status": 2, "name": "späte 🛰"}
    values |= {"source": "user", "attributes": json.dumps({"n": trace}), "events": "[]"}
    return tuple((values | {"links": "[]"} | changes).values())


def test_days_come_back_from_parquet_as_they_were(
    cli: Any, engine: EngineUnderTest, tmp_path: Path
) -> None:
    today = dt.datetime.now(UTC).date()
    first, second = (today - dt.timedelta(days=back) for back in (3, 2))
    with engine.sync_client() as client:
        client.traces.ingest([row(first, n, span_id=n) for n in range(1, 2_502)])
        client.traces.ingest([row(second, 7, parent_id=9), row(second, 8), row(today, 9)])
    said = cli("trace", "export-parquet", str(tmp_path / "days"), "--json")
    assert said.json == {
        str(tmp_path / "days" / f"{first}.parquet"): 2_501,
        str(tmp_path / "days" / f"{second}.parquet"): 2,
    }
    assert len(list((tmp_path / "days").iterdir())) == 2, "today is not over"
    whole = parquet.read_table(tmp_path / "days" / f"{first}.parquet")
    assert whole.column("span_id").to_pylist() == [f"{n:016x}" for n in range(1, 2_502)]
    file = tmp_path / "one.parquet"
    assert cli("trace", "export-parquet", str(file), "--day", str(second)).code == 0
    table = parquet.read_table(file)
    assert table.schema.field("start_time").type == pa.timestamp("ns", tz="UTC")
    assert table.schema.field("duration_ns").type == pa.int64()
    starts = table.column("start_time").cast(pa.int64()).to_pylist()
    assert [each % 10**9 for each in starts] == [7, 8]
    child, root = table.drop_columns(["start_time", "end_time"]).to_pylist()
    assert child["trace_id"] == f"{7:016x}{2**64 - 1:016x}"
    assert (child["parent_span_id"], root["parent_span_id"]) == (f"{9:016x}", None)
    assert (root["kind"], root["status_code"], root["duration_ns"]) == ("SERVER", "ERROR", 1_500)
    assert (root["name"], json.loads(root["attributes"])) == ("späte 🛰", {"n": 8})
    assert root["adjusted_count"] == 1.0


def test_what_cannot_be_exported_is_said(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = str(dt.datetime.now(UTC).date())
    folder = str(tmp_path / "days")
    assert "takes one day" in cli("trace", "export-parquet", f"{folder}/x.parquet").err
    assert "is not over" in cli("trace", "export-parquet", folder, "--day", today).err
    assert "no spans of the day" in cli("trace", "export-parquet", folder, "--day", "1999-x").err
    assert not (tmp_path / "days").exists()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = cli("trace", "export-parquet", folder)
    assert said.code == 1
    assert "citadel[parquet]" in said.err
