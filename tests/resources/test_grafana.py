"""The dashboards and alert rules that ship: every metric is one that the page has."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from citadel.resources import resource
from engine.telemetry.catalogue import COUNTERS, DURATIONS, GAUGES
from engine.telemetry.families import page_name

FOLDER = resource("grafana")
DASHBOARDS = sorted(FOLDER.glob("*.json"))
ALERTS = FOLDER / "alerts.yaml"
ALERT_TESTS = Path(__file__).parent / "alerts_test.yaml"
METRIC = re.compile(r"\bcitadel_\w+")


def series() -> dict[str, frozenset[str]]:
    """Every name on the page, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for name, entry in COUNTERS.items():
        found[f"{page_name(name, entry)}_total"] = frozenset(entry.labels)
    for name, entry in GAUGES.items():
        found[page_name(name, entry)] = frozenset(entry.labels)
    for name, entry in DURATIONS.items():
        for suffix in ("bucket", "count", "sum"):
            found[f"{page_name(name, entry)}_{suffix}"] = frozenset(entry.labels)
    return found


def expressions(dashboard: dict[str, Any]) -> list[str]:
    told = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return told + [
        each["query"]["query"]
        for each in dashboard["templating"]["list"]
        if each["type"] == "query"
    ]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_there_is_a_dashboard_for_each_area() -> None:
    assert [path.stem for path in DASHBOARDS] == [
        "citadel-guards",
        "citadel-overview",
        "citadel-pools",
        "citadel-telemetry",
    ]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    assert dashboard["uid"] == path.stem
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids) > 5
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_shows_what_the_page_has(path: Path) -> None:
    known = series()
    for expression in expressions(json.loads(path.read_text(encoding="utf-8"))):
        names = METRIC.findall(expression)
        assert names, expression
        assert set(names) <= set(known), expression
        labels = {label for name in names for label in known[name]} | {"le", "job", "instance"}
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        asked = {label.strip() for group in grouped for label in group.split(",")}
        asked |= set(re.findall(r"(\w+)=~?\"", expression))
        assert asked <= labels, expression


def test_each_metric_is_on_a_dashboard() -> None:
    shown = {
        name
        for path in DASHBOARDS
        for expression in expressions(json.loads(path.read_text(encoding="utf-8")))
        for name in METRIC.findall(expression)
    }
    wanted = {re.sub(r"_(bucket|count|sum)$", "_bucket", name) for name in series()}
    assert wanted - shown == set()


def test_alerts_ask_for_what_the_page_has() -> None:
    for rule in rules():
        names = METRIC.findall(rule["expr"])
        assert set(names) <= set(series()), rule["alert"]
        assert names or "up{" in rule["expr"]
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_each_alert_is_tested() -> None:
    tested = {
        case["alertname"]
        for test in yaml.safe_load(ALERT_TESTS.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert {rule["alert"] for rule in rules()} - tested == set()


@pytest.mark.peers
def test_promtool_takes_the_rules(prometheus_programs: Path) -> None:
    promtool(prometheus_programs, "check", "rules", str(ALERTS))


@pytest.mark.peers
def test_promtool_fires_each_alert(prometheus_programs: Path, tmp_path: Path) -> None:
    # promtool looks for the rules beside the tests.
    tests = tmp_path / "tests.yaml"
    tests.write_text(ALERT_TESTS.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "alerts.yaml").write_text(ALERTS.read_text(encoding="utf-8"), encoding="utf-8")
    promtool(prometheus_programs, "test", "rules", str(tests))


def promtool(programs: Path, *arguments: str) -> None:
    done = subprocess.run(
        [programs / "promtool", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
