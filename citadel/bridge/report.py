"""What a bridge covers: its tools by tier, and what of its modules is left out and why. Pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from citadel.bridge.lock import version
from citadel.bridge.shape import TIERS
from citadel.bridge.surface import Exposed, LeftOut, Surface

_BAR = "\\|"
_TABLE = ["", "| tool | tier | signature |", "| --- | --- | --- |"]


def covered(surface: Surface) -> dict[str, Any]:
    """The report as data."""
    return {
        "manifest": surface.loaded.path.name,
        "tools": len(surface.tools),
        "tiers": _tiers(list(surface.tools.values())),
        "libraries": [
            _library(surface, module)
            for module in dict.fromkeys(each.module for each in surface.loaded.manifest.libraries)
        ],
    }


def as_json(surface: Surface) -> str:
    """The report as a JSON file."""
    return json.dumps(covered(surface), indent=2, ensure_ascii=False) + "\n"


def as_markdown(surface: Surface) -> str:
    """The report for people."""
    said = covered(surface)
    lines = [
        f"# Coverage of {said['manifest']}",
        "",
        f"{said['tools']} tools. Tiers: how a signature was learnt, best first.",
        "",
        "| library | version | tools | " + " | ".join(TIERS) + " | public names | left out |",
        "| --- | --- |" + " ---: |" * (len(TIERS) + 3),
    ]
    for each in said["libraries"]:
        counts = " | ".join(str(each["tiers"][tier]) for tier in TIERS)
        lines.append(
            f"| {each['module']} | {each['version']} | {len(each['tools'])} | {counts}"
            f" | {each['public']} | {len(each['left_out'])} |"
        )
    for each in said["libraries"]:
        lines += ["", f"## {each['module']}", *_TABLE]
        lines += [
            f"| `{row['tool']}` | {row['tier']} | `{row['signature'].replace('|', _BAR)}` |"
            for row in each["tools"]
        ]
        reasons = Counter(row["why"] for row in each["left_out"])
        if reasons:
            lines += ["", "Left out:", ""]
        for why in sorted(reasons):
            names = ", ".join(
                row["name"].rpartition(".")[2] for row in each["left_out"] if row["why"] == why
            )
            lines.append(f"- {why} ({reasons[why]}): {names}")
    return "\n".join(lines) + "\n"


def _library(surface: Surface, module: str) -> dict[str, Any]:
    tools = [
        each
        for each in sorted(surface.tools.values(), key=lambda exposed: exposed.tool)
        if each.library in _prefixes(surface, module) and each.source.startswith(f"{module}.")
    ]
    left = sorted(_left_out(surface, module), key=lambda out: out.name)
    listed = {each.source for each in tools if each.role in ("function", "construct")}
    listed |= {face.source for face in surface.faces.values() if face.module == module}
    return {
        "module": module,
        "version": version(module),
        "public": len(listed) + len(left),
        "tiers": _tiers(tools),
        "tools": [
            {
                "tool": each.tool,
                "source": each.source,
                "role": each.role,
                "tier": each.shape.tier,
                "signature": "" if each.role == "attribute" else each.shape.text(),
            }
            for each in tools
        ],
        "left_out": [{"name": each.name, "why": each.why} for each in left],
    }


def _prefixes(surface: Surface, module: str) -> set[str]:
    libraries = surface.loaded.manifest.libraries
    return {each.prefix for each in libraries if each.module == module}


def _left_out(surface: Surface, module: str) -> list[LeftOut]:
    """Of a module; what another entry of the same module lists is not left out."""
    used = {each.source for each in surface.tools.values()}
    used |= {each.source for each in surface.faces.values()}
    found: dict[str, LeftOut] = {}
    for each in surface.left_out:
        if each.name.rpartition(".")[0] == module and each.name not in used:
            found.setdefault(each.name, each)
    return list(found.values())


def _tiers(tools: list[Exposed]) -> dict[str, int]:
    counts = Counter(each.shape.tier for each in tools)
    return {tier: counts[tier] for tier in TIERS}
