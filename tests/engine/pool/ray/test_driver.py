"""What Ray's driver decides, with a Ray that only remembers."""

import os
import queue
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from engine.pool import frames
from engine.pool.ray import driver


class Reference:
    def __init__(self) -> None:
        self.done: Future = Future()

    def future(self) -> Future:
        return self.done


class Method:
    def __init__(self) -> None:
        self.references: list[Reference] = []

    def remote(self) -> Reference:
        self.references.append(Reference())
        return self.references[-1]


class Actor:
    def __init__(self, options: dict[str, Any], told: tuple) -> None:
        self.options = options
        self.told = told
        self.where, self.wait = Method(), Method()


class Ray:
    """As much of Ray as the driver uses."""

    def __init__(self, **cpus: float) -> None:
        self.cpus = cpus
        self.dead: set[str] = set()
        self.actors: list[Actor] = []
        self.killed: list[Actor] = []
        self.util = self.scheduling_strategies = self

    def NodeAffinitySchedulingStrategy(self, node: str, *, soft: bool):  # noqa: N802 - Ray's name
        assert not soft
        return node

    def nodes(self):
        return [
            {
                "NodeID": node,
                "Alive": node not in self.dead,
                "NodeManagerAddress": f"at-{node}",
                "Resources": {"CPU": cpus},
            }
            for node, cpus in self.cpus.items()
        ]

    def remote(self, **options):
        assert options == {"max_restarts": 0, "max_task_retries": 0}
        return lambda host: self

    def options(self, **options):
        self.asked = options
        return self.Maker(self)

    class Maker:
        def __init__(self, ray: "Ray") -> None:
            self.ray = ray

        def remote(self, *told) -> Actor:
            self.ray.actors.append(Actor(self.ray.asked, told))
            return self.ray.actors[-1]

    def kill(self, actor: Actor, *, no_restart: bool) -> None:
        assert no_restart
        self.killed.append(actor)


class Bench:
    """A driver, and what it says."""

    def __init__(self, **cpus: float) -> None:
        self.ray = Ray(**cpus)
        self.said: list[list] = []
        self.inbox: driver.Inbox = queue.SimpleQueue()
        self.driver = driver.Driver(self.ray, self.said.append, self.inbox)

    def place(self, key: bytes, cpus: float, taken: tuple[str, ...] = (), seconds=60.0) -> None:
        self.driver._place(key, {"port": 1}, "token", cpus, list(taken), seconds)

    def turn(self) -> None:
        """Does what is due."""
        while not self.inbox.empty():
            event = self.inbox.get()
            assert callable(event)
            event()


@pytest.fixture
def bench() -> Bench:
    return Bench(small=2, large=4)


def on(bench: Bench) -> list[str]:
    return [actor.options["scheduling_strategy"] for actor in bench.ray.actors]


def test_the_emptiest_node_that_is_not_taken_is_chosen(bench):
    bench.place(b"a", 1)
    bench.place(b"b", 1, taken=("large",))
    bench.place(b"c", 2, taken=("large", "small"))
    assert on(bench) == ["large", "small", "large"]
    assert bench.ray.actors[0].told == ({"port": 1}, "token")


def test_a_dead_node_is_not_chosen(bench):
    bench.ray.dead = {"large"}
    bench.place(b"a", 1)
    assert on(bench) == ["small"]


def test_what_no_node_has_left_is_told_at_once(bench):
    bench.place(b"a", 3)
    bench.place(b"b", 3)
    assert bench.said == [
        [driver.GONE, b"b", "no node of the cluster has 3 CPUs left: at-small 2, at-large 1"]
    ]
    bench.driver._remove(b"a")
    bench.place(b"b", 3)
    assert len(bench.said) == 1


def test_what_ray_raises_is_told(bench, monkeypatch):
    def refuses(self) -> None:
        raise ValueError("no such cluster")

    monkeypatch.setattr(Ray, "nodes", refuses)
    bench.place(b"a", 1)
    assert bench.said == [[driver.GONE, b"a", "Ray took no actor: no such cluster"]]


def test_an_actor_that_starts_and_ends(bench):
    bench.place(b"a", 1)
    (actor,) = bench.ray.actors
    actor.where.references[0].done.set_result(("host", 77, 78))
    bench.turn()
    assert bench.said == [[driver.PLACED, b"a", "large", "at-large", 77]]
    actor.wait.references[0].done.set_result((3, "Traceback\nOSError: no way\n"))
    bench.turn()
    gone = [driver.GONE, b"a", "the node's engine ended with code 3: OSError: no way"]
    assert bench.said[1:] == [gone]
    assert bench.ray.killed == [actor]


@pytest.mark.parametrize(
    ("started", "says"), [(False, "its actor did not start: boom"), (True, "its actor died: boom")]
)
def test_an_actor_that_fails(bench, started, says):
    bench.place(b"a", 1)
    (actor,) = bench.ray.actors
    if started:
        actor.where.references[0].done.set_result(("host", 77, 78))
        bench.turn()
    waited = actor.wait if started else actor.where
    waited.references[0].done.set_exception(RuntimeError("first line\n  boom \n"))
    bench.turn()
    assert bench.said[-1] == [driver.GONE, b"a", says]


def test_an_actor_that_ray_does_not_place_is_given_up(bench):
    bench.place(b"a", 1, seconds=-1)
    bench.place(b"b", 1)
    bench.driver._expire()
    (gone,) = bench.said
    assert gone[:2] == [driver.GONE, b"a"]
    assert "1 CPUs on node at-large" in gone[2]
    assert bench.ray.killed == [bench.ray.actors[0]]


class Never:
    """The guard against a Ray that does not let go: not in the tests' own process."""

    def __init__(self, seconds: float, *what) -> None:
        assert seconds == driver.END_SECONDS

    def start(self) -> None:
        self.started = True


def test_it_does_what_its_input_says_and_removes_all_at_its_end(bench, monkeypatch):
    about = [{"port": 1}, "token", 1.0, [], 60.0]
    told = [
        [driver.PLACE, b"a", *about],
        [driver.PLACE, b"b", *about],
        [driver.REMOVE, b"a"],
        [driver.STOP],
    ]
    reading, writing = os.pipe()
    os.write(writing, b"".join(map(frames.frame, told)))
    os.close(writing)
    monkeypatch.setattr(threading, "Timer", Never)
    driver.read(reading, bench.inbox)
    os.close(reading)
    bench.driver.run()
    assert bench.ray.killed == bench.ray.actors
    assert len(bench.ray.killed) == 2
