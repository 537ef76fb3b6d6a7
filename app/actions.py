"""Every action of the control room, declared once: menus, shortcuts and palette derive from it.

An action names what it does; app/room.py gives each name its handler, and a test proves that none
is missing. Pure; any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that the user can do."""

    name: str
    title: str
    menu: str
    key: str = ""
    icon: str = ""
    hint: str = ""
    needs_engine: bool = False
    checkable: bool = False
    words: str = ""
    """Other words that the palette finds it by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perspective:
    """A workspace of the left rail."""

    name: str
    title: str
    key: str
    hint: str


PERSPECTIVES = (
    Perspective(
        name="bridge", title="Bridge", key="Ctrl+1", hint="Overview of pools, latency and Sentinels"
    ),
    Perspective(
        name="fleet",
        title="Fleet",
        key="Ctrl+2",
        hint="Pools, workers, sessions, Sentinels and missions",
    ),
    Perspective(name="cinema", title="Cinema", key="Ctrl+3", hint="Traces, span by span"),
    Perspective(
        name="defence", title="Defence", key="Ctrl+4", hint="The guards and what they decided"
    ),
)

DOCKS = ("sampling", "defence", "inspector", "events", "audit", "incidents", "exporters")

ACTIONS: tuple[Action, ...] = (
    *(
        Action(
            name=f"go.{perspective.name}",
            title=f"Go to {perspective.title}",
            menu="View",
            key=perspective.key,
            icon=perspective.name,
            hint=perspective.hint,
        )
        for perspective in PERSPECTIVES
    ),
    *(
        Action(
            name=f"dock.{dock}",
            title=f"Show the {dock.capitalize()} dock",
            menu="Docks",
            checkable=True,
            words="panel hide toggle",
        )
        for dock in DOCKS
    ),
    Action(
        name="layout.reset",
        title="Reset this perspective's layout",
        menu="Docks",
        icon="reset",
        words="default docks",
    ),
    Action(name="theme.dark", title="Dark theme", menu="View", icon="theme", words="colours night"),
    Action(name="theme.light", title="Light theme", menu="View", icon="theme", words="colours day"),
    Action(
        name="theme.system", title="Theme of the system", menu="View", icon="theme", words="auto"
    ),
    Action(
        name="view.fullscreen",
        title="Full screen",
        menu="View",
        key="Shift+F11",
        checkable=True,
    ),
    Action(name="palette.open", title="Ask, filter, go to…", menu="View", key="Ctrl+K"),
    Action(
        name="clock.freeze",
        title="Freeze or go live",
        menu="Clock",
        key="Space",
        icon="pause",
        hint="Stops the views; ingest goes on",
        words="pause",
    ),
    Action(name="clock.live", title="Go live", menu="Clock", key="End", icon="play", words="now"),
    Action(
        name="engine.connect",
        title="Connect to an engine…",
        menu="Engine",
        key="Ctrl+O",
        icon="link",
        words="remote embedded switch token tls",
    ),
    Action(
        name="recording.open",
        title="Open recording…",
        menu="Engine",
        key="Ctrl+Shift+O",
        hint="A .citadel file, in a window of its own",
        words="file incident replay citadel",
    ),
    Action(
        name="engine.reconnect",
        title="Reconnect now",
        menu="Engine",
        words="retry",
    ),
    Action(
        name="engine.disconnect",
        title="Disconnect",
        menu="Engine",
        words="cancel stop",
    ),
    Action(
        name="mission.start",
        title="Start a mission…",
        menu="Engine",
        key="Ctrl+N",
        icon="play",
        needs_engine=True,
        words="survey run",
    ),
    Action(
        name="sentinel.spawn",
        title="Spawn a Sentinel…",
        menu="Engine",
        icon="spawn",
        needs_engine=True,
        words="agent new",
    ),
    Action(
        name="pool.pause",
        title="Pause the pool…",
        menu="Fleet",
        icon="pause",
        needs_engine=True,
        hint="Its commands wait",
        words="hold stop queue",
    ),
    Action(
        name="pool.resume",
        title="Resume the pool",
        menu="Fleet",
        icon="play",
        needs_engine=True,
        words="continue serve",
    ),
    Action(
        name="pool.drain",
        title="Drain the pool…",
        menu="Fleet",
        icon="drain",
        needs_engine=True,
        hint="What waits still runs, new commands are refused",
        words="stop empty refuse",
    ),
    Action(
        name="pool.resize",
        title="Resize the pool…",
        menu="Fleet",
        icon="resize",
        needs_engine=True,
        words="workers scale autoscale min max more less",
    ),
    Action(
        name="pool.recycle",
        title="Recycle the pool's workers…",
        menu="Fleet",
        icon="recycle",
        needs_engine=True,
        words="restart replace",
    ),
    Action(
        name="worker.recycle",
        title="Recycle the worker",
        menu="Fleet",
        icon="recycle",
        needs_engine=True,
        words="restart replace",
    ),
    Action(
        name="worker.kill",
        title="Kill the worker…",
        menu="Fleet",
        icon="kill",
        needs_engine=True,
        words="end process",
    ),
    Action(
        name="session.end",
        title="End the session…",
        menu="Fleet",
        icon="stop",
        needs_engine=True,
        words="close variables",
    ),
    Action(
        name="poison.release",
        title="Show poison, release it…",
        menu="Fleet",
        icon="unlock",
        needs_engine=True,
        words="quarantine crash input arguments",
    ),
    Action(
        name="defence.strict",
        title="Strict mode",
        menu="Engine",
        icon="defence",
        key="Ctrl+Shift+S",
        checkable=True,
        needs_engine=True,
        hint="Flags block, and a layer that fails blocks",
        words="guards block lock down",
    ),
    Action(
        name="edit.undo",
        title="Undo the last change",
        menu="Edit",
        key="Ctrl+Z",
        icon="undo",
        needs_engine=True,
    ),
    Action(
        name="edit.filter",
        title="Filter what is on screen",
        menu="Edit",
        key="Ctrl+F",
        icon="search",
        words="find search",
    ),
    Action(
        name="trace.why",
        title="Why is a trace missing?…",
        menu="Engine",
        key="Ctrl+Shift+W",
        icon="search",
        needs_engine=True,
        hint="Kept or dropped, by which rule, and who set it",
        words="sampled dropped lost find id command explain",
    ),
    Action(
        name="sampling.override",
        title="Override sampling for a while…",
        menu="Engine",
        icon="clock",
        needs_engine=True,
        hint="A rule before all others that ends by itself",
        words="rate keep 15 minutes temporary",
    ),
    Action(name="app.quit", title="Quit", menu="Engine", key="Ctrl+Q"),
)

MENUS = ("Engine", "Fleet", "Edit", "View", "Docks", "Clock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the palette: an action, or something to go to."""

    name: str
    title: str
    detail: str = ""
    key: str = ""
    words: str = ""
    enabled: bool = True


def fuzzy(query: str, text: str) -> int:
    """How well a query fits a text: 0 not at all; whole words and beginnings weigh most."""
    wanted, there = query.lower().strip(), text.lower()
    if not wanted:
        return 1
    if wanted in there:
        at = there.index(wanted)
        begins = at == 0 or not there[at - 1].isalnum()
        return 1000 - min(at, 200) + (500 if begins else 0)
    parts = wanted.split()
    if len(parts) > 1 and all(part in there for part in parts):
        return 700
    score, at, run = 0, -1, 0
    for letter in wanted.replace(" ", ""):
        found = there.find(letter, at + 1)
        if found < 0:
            return 0
        run = run + 1 if found == at + 1 else 0
        starts = found == 0 or not there[found - 1].isalnum()
        score += 8 + 6 * run + (20 if starts else 0)
        at = found
    return score if score >= 14 * len(wanted.replace(" ", "")) else 0


def ranked(query: str, entries: Iterable[Entry], limit: int = 50) -> Sequence[Entry]:
    """The entries that fit, best first; other words count for less than the title."""

    def score(entry: Entry) -> int:
        return max(
            fuzzy(query, entry.title) * 4,
            fuzzy(query, entry.words) * 2,
            fuzzy(query, entry.detail) * 2,
        )

    scored = [(score(entry), index, entry) for index, entry in enumerate(entries)]
    fitting = sorted((s for s in scored if s[0] > 0), key=lambda s: (-s[0], s[1]))
    return [entry for _, _, entry in fitting[:limit]]
