"""A mission's status as a row of the stream."""

from __future__ import annotations

from typing import Any

from citadel.wire.messages import MissionStatus


def mission_row(status: MissionStatus) -> tuple[Any, ...]:
    """The columns of topic `mission`."""
    return (
        status.id,
        status.kind,
        status.name,
        status.mission_class,
        status.state,
        status.done,
        status.total,
        status.failed,
        status.rate,
        status.started_unix_nanos,
        status.ended_unix_nanos,
        status.error,
        status.trace_id,
        status.summary_json,
        status.revision,
        status.passes,
        status.parameters_json,
    )
