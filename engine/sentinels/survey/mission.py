"""The survey as a mission: its parameters, its Sentinels, and the table of what they found."""

from __future__ import annotations

import asyncio
import json
import os
import sysconfig
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from citadel import semconv
from citadel.behaviour import Signal
from citadel.errors import InvalidRequest
from citadel.wire.columns import pack
from citadel.wire.messages import ColumnBatch
from engine.sentinels.missions import MissionRun
from engine.sentinels.survey import behaviours as b
from engine.sentinels.survey.duplicates import Blocks, duplicated_lines
from engine.sentinels.unit import Unit

LOOP_PAUSE_SECONDS = 1.0
"""Between two passes of a survey that runs in a loop."""
_FIGURES = (
    "sha256",
    "bytes",
    "lines",
    "code_tokens",
    "functions",
    "classes",
    "complexity_max",
    "complexity_sum",
)


class SurveyParameters(BaseModel):
    """What a survey is told."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(
        default_factory=lambda: sysconfig.get_path("stdlib"),
        description="The folder; by default the standard library of the engine's interpreter",
    )
    limit: int = Field(default=0, ge=0, le=100_000, description="Files at most; 0: all")
    rate: float = Field(default=0.0, ge=0, le=100_000, description="Files a second; 0: flat out")
    loop: bool = Field(default=False, description="Begin again when it is through, for good")
    executors: int = Field(default=2, ge=1, le=64, description="Sentinels that run commands")
    summarise: bool = Field(default=True, description="Ask a model about each docstring")
    pool: str = Field(default="python", description="The pool that hosts the survey's adapter")
    seed: int = Field(default=0, ge=0, description="Which tenth of the files is verified")


class Survey:
    """One survey."""

    name: ClassVar[str] = "survey"
    description: ClassVar[str] = (
        "Measures every Python file of a folder on a pool, verifies a random tenth,"
        " and asks a model for one sentence about each module"
    )
    parameters: ClassVar[type[BaseModel]] = SurveyParameters
    mission_class: ClassVar[str] = "standard"

    def __init__(self, run: MissionRun, parameters: SurveyParameters) -> None:
        self._run = run
        self._told = parameters
        self._rows: dict[str, dict[str, Any]] = {}
        self._blocks: dict[str, Blocks] = {}
        self._done: set[str] = set()
        self._failed = 0
        self._planned = -1
        self._pass = run.unit

    async def check(self) -> None:
        """Looks whether the folder can be read.

        Raises:
            InvalidRequest: it cannot.
        """
        path = Path(self._told.path)

        def look() -> str:
            if not path.is_dir():
                return "is no folder" if path.exists() else "does not exist"
            return "" if os.access(path, os.R_OK | os.X_OK) else "cannot be read"

        if wrong := await asyncio.to_thread(look):
            raise InvalidRequest(
                f"{path} {wrong}",
                subject=str(path),
                remedy="Give a folder that the engine can read: --path DIR",
            )

    def begin(self) -> None:
        """Spawns the Sentinels and lets the planner begin."""
        run, told = self._run, self._told
        about = {"mission": run.id, "pool": told.pool, "seed": told.seed}
        critic = run.spawn("critic", "critic", about)
        summariser = run.spawn("summariser", "summariser", about) if told.summarise else ""
        executors = [
            run.spawn(
                f"executor-{number}",
                "executor",
                {**about, "critic": critic, "summariser": summariser},
            )
            for number in range(1, told.executors + 1)
        ]
        plan = {**told.model_dump(), **about, "executors": executors}
        run.spawn("planner", "planner", plan)
        self._begin_pass()

    def set_rate(self, rate: float) -> None:
        """Tells the planner."""
        told = Signal(type=b.RATE, data={"rate": rate}, source=self._run.id)
        self._run.send("planner", told, self._pass)

    def receive(self, signal: Signal, unit: Unit | None) -> None:
        """Takes what the Sentinels found."""
        row = self._rows.setdefault(signal.subject, {}) if signal.subject else {}
        match signal.type:
            case b.PLANNED:
                self._planned = int(signal.data["files"])
                self._run.update(total=self._planned)
                if not self._planned:
                    self._end_pass()
            case b.MEASURED:
                self._measured(signal, row)
                if unit and row["status"] != "ok":
                    unit.span.set(semconv.CITADEL_SURVEY_ERROR, row["error"])
            case b.VERIFIED:
                row["verified"] = signal.data["verdict"]
            case b.SUMMARISED if not signal.subject:
                self._summarised(signal)
            case b.SUMMARISED:
                row["summary"] = signal.data["summary"]
                row["summary_source"] = signal.data["source"]
            case b.UNIT_DONE:
                self._unit_done(signal)
            case "sentinel.quarantined":
                reason = f"Sentinel {signal.data['sentinel']}: {signal.data['reason']}"
                self._run.end("failed", reason)
            case _:
                pass

    def table(self) -> ColumnBatch:
        """One row a file, sorted by path: topic `survey_result`."""
        rows = [
            (
                path,
                *(row.get(key, "" if key == "sha256" else 0) for key in _FIGURES),
                row.get("duplicated_lines", 0),
                row.get("status", ""),
                row.get("error", ""),
                row.get("verified", ""),
                row.get("summary", ""),
                row.get("summary_source", ""),
            )
            for path, row in sorted(self._rows.items())
            if "status" in row
        ]
        return pack("survey_result", rows)

    def _begin_pass(self) -> None:
        self._done, self._failed, self._planned = set(), 0, -1
        self._run.update(done=0, failed=0)
        if self._told.loop:
            # A pass of a loop is a trace: the mission's own would never end.
            self._pass = self._run.new_unit("survey pass")
        self._run.send("planner", Signal(type=b.BEGIN, source=self._run.id), self._pass)

    def _measured(self, signal: Signal, row: dict[str, Any]) -> None:
        found = dict(signal.data)
        blocks = found.pop("blocks", [])
        width = _width(blocks)
        self._blocks[signal.subject] = np.array(blocks, dtype=np.uint64).reshape(len(blocks), width)
        # A pass that begins again replaces what the last one found.
        row.clear()
        row.update(found)

    def _unit_done(self, signal: Signal) -> None:
        row = self._rows.get(signal.subject, {})
        failed = bool(signal.data["failed"]) or row.get("status") != "ok"
        if "status" not in row:
            row.update(status="error", error="a Sentinel failed while it worked on this file")
        if signal.subject not in self._done:
            self._done.add(signal.subject)
            self._failed += failed
            self._run.count_unit("failed" if failed else "done")
            self._run.update(done=len(self._done), failed=self._failed)
        if self._run.status.state != "running":
            return
        told = Signal(type=b.UNIT_DONE, subject=signal.subject, source=self._run.id)
        self._run.send("planner", told, self._pass)
        if len(self._done) == self._planned:
            self._end_pass()

    def _end_pass(self) -> None:
        if self._pass is not self._run.unit:
            self._pass.release()
        self._run.runtime.spawn_task(self._finish_pass(), f"{self._run.id} ends a pass")

    async def _finish_pass(self) -> None:
        """Counts duplicates over all files, then ends, or begins again."""
        counts = await asyncio.to_thread(duplicated_lines, dict(self._blocks))
        for path, count in counts.items():
            if path in self._rows:
                self._rows[path]["duplicated_lines"] = count
        if self._run.status.state != "running":
            return
        summary = self._summary()
        passes = self._run.status.passes + 1
        self._run.update(summary_json=json.dumps(summary), passes=passes)
        if self._told.loop:
            self._run.recorder.event(
                "mission.pass",
                subject=self._run.id,
                message=f"pass {passes}: {summary['files']} files",
                mission=self._run.status.name,
                context=self._run.unit.span,
            )
            await asyncio.sleep(LOOP_PAUSE_SECONDS)
            if self._run.status.state == "running":
                self._begin_pass()
        elif self._told.summarise and self._rows:
            self._ask_for_summary(summary)
        else:
            self._run.end("finished")

    def _ask_for_summary(self, summary: dict[str, Any]) -> None:
        """The last question is part of the mission's own trace."""
        text = ", ".join(f"{key} {value}" for key, value in summary.items())
        data = {"file": "", "docstring": f"A survey of a folder of Python source found: {text}."}
        self._run.send("summariser", Signal(type=b.SUMMARISE, data=data, source=self._run.id))

    def _summarised(self, signal: Signal) -> None:
        summary = json.loads(self._run.status.summary_json)
        summary["summary"] = signal.data["summary"]
        summary["summary_source"] = signal.data["source"]
        self._run.update(summary_json=json.dumps(summary))
        self._run.end("finished")

    def _summary(self) -> dict[str, Any]:
        rows = [row for row in self._rows.values() if "status" in row]
        sums = {
            key: sum(row.get(key, 0) for row in rows)
            for key in ("bytes", "lines", "code_tokens", "functions", "classes", "duplicated_lines")
        }
        verified = [row["verified"] for row in rows if row.get("verified")]
        return {
            "files": len(rows),
            "errors": sum(row["status"] != "ok" for row in rows),
            **sums,
            "complexity_max": max((row.get("complexity_max", 0) for row in rows), default=0),
            "verified": len(verified),
            "mismatches": sum(verdict != "ok" for verdict in verified),
            "summaries": sum(bool(row.get("summary")) for row in rows),
            "unsummarised": sum(
                bool(row.get("summary_source")) and not row.get("summary") for row in rows
            ),
        }


def _width(blocks: list[list[int]]) -> int:
    """Columns of a table of blocks: the hash and the numbers of its lines."""
    return len(blocks[0]) if blocks else 1
