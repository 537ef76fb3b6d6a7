"""Who is next: shares, deadlines, priorities; nobody starves, and whoever leaves is gone."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.pool.call import LATER, NORMAL, PRIORITIES, URGENT, Call
from engine.pool.fairqueue import IDLE_FLOWS, SPARE_ENTRIES, Bulkhead, FairQueue
from engine.pool.options import QueueOptions

NUMBERS = itertools.count(1)


def a_call(
    *, mission: str = "", deadline: float = 100.0, priority: int = NORMAL, called: bool = False
) -> Call:
    number = next(NUMBERS)
    return Call(
        number=number,
        name=f"c{number}",
        tool="t",
        deadline=deadline,
        priority=priority,
        flow=mission,
        called=called,
    )


def popped(queue: FairQueue, limit: int = 10**6) -> list[Call]:
    return list(itertools.islice(iter(queue.pop, None), limit))


commands = st.lists(
    st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(0, 5), st.sampled_from(PRIORITIES)),
    max_size=60,
)


@given(commands, st.data())
@settings(deadline=None)
def test_all_that_were_not_taken_out_come_once_and_in_order(items, data):
    queue = FairQueue()
    calls = [a_call(mission=m, deadline=float(d), priority=p) for m, d, p in items]
    for call in calls:
        queue.push(call)
    gone = data.draw(st.sets(st.sampled_from(calls))) if calls else set()
    for call in gone:
        queue.cancel(call)
    assert queue.size == len(calls) - len(gone)
    found = popped(queue)
    assert {call.number for call in found} == {c.number for c in calls} - {c.number for c in gone}
    assert queue.size == 0
    assert [c.priority for c in found] == sorted(c.priority for c in found), "the urgent first"
    for priority, mission in itertools.product(PRIORITIES, ["", "a", "b", "c"]):
        own = [c for c in found if (c.priority, c.flow) == (priority, mission)]
        order = [(c.deadline, c.number) for c in own]
        assert order == sorted(order), "earliest deadline first, on ties first in first out"


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 8), min_size=2),
    st.integers(1, 60),
)
@settings(max_examples=60, deadline=None)
def test_missions_that_wait_share_by_weight(weights, rounds):
    """The bound of start-time fair queueing: |Wa/wa - Wb/wb| <= 1/wa + 1/wb, at every moment."""
    queue = FairQueue({name: float(weight) for name, weight in weights.items()})
    for name in weights:
        for _ in range(rounds * sum(weights.values()) + 1):
            queue.push(a_call(mission=name))
    served: Counter[str] = Counter()
    for call in popped(queue, rounds * sum(weights.values())):
        served[call.flow] += 1
        for one, other in itertools.combinations(weights, 2):
            ahead = served[one] / weights[one] - served[other] / weights[other]
            assert abs(ahead) <= 1 / weights[one] + 1 / weights[other] + 1e-9


@given(st.integers(1, 200), st.integers(1, 5))
@settings(deadline=None)
def test_a_mission_that_comes_late_is_not_starved_by_a_flood(flood, own):
    queue = FairQueue()
    for _ in range(flood):
        queue.push(a_call(mission="flood"))
    popped(queue, flood // 2)
    for _ in range(own):
        queue.push(a_call(mission="late"))
    order = [call.flow for call in popped(queue)]
    last = max(index for index, mission in enumerate(order) if mission == "late")
    assert last <= 2 * own, "in turn with the flood, not behind it"


def test_a_mission_does_not_save_up_while_it_is_idle():
    queue = FairQueue()
    for _ in range(100):
        queue.push(a_call(mission="busy"))
    popped(queue, 50)
    for _ in range(50):
        queue.push(a_call(mission="idle before"))
    first = Counter(call.flow for call in popped(queue, 20))
    assert first["busy"] >= 9


def test_what_comes_back_goes_first_in_its_old_order():
    queue = FairQueue()
    calls = [a_call() for _ in range(5)]
    for call in calls:
        queue.push(call)
    first, second = popped(queue, 2)
    for call in (second, first):
        queue.push_first(call)
    assert popped(queue) == calls
    queue.push_first(first)
    queue.cancel(first)
    assert queue.pop() is None


def test_the_urgent_go_before_all_that_came_back_later():
    queue = FairQueue()
    late, urgent = a_call(priority=LATER), a_call(priority=URGENT)
    queue.push_first(late)
    queue.push(urgent)
    assert popped(queue) == [urgent, late]


def test_dead_entries_are_bounded():
    queue = FairQueue()
    keeper = a_call(deadline=0.0)
    queue.push(keeper)
    for _ in range(10 * SPARE_ENTRIES):
        call = a_call()
        queue.push(call)
        queue.cancel(call)
    lane = queue._lanes[NORMAL]
    assert sum(len(flow.heap) for flow in lane._flows.values()) <= SPARE_ENTRIES + 2
    assert popped(queue) == [keeper]


def test_missions_that_came_and_went_are_forgotten():
    queue = FairQueue()
    queue.push(a_call(mission="stays", deadline=1.0))
    for number in range(4 * IDLE_FLOWS):
        queue.push(a_call(mission=f"m{number}"))
        queue.push(a_call(mission="stays"))
        popped(queue, 2)
    assert len(queue._lanes[NORMAL]._flows) <= IDLE_FLOWS + 4


@given(st.integers(1, 3), st.lists(st.sampled_from("ab"), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_bulkhead_lets_others_pass(limit, missions):
    bulkhead = Bulkhead(limit)
    queue = FairQueue(bulkhead=bulkhead)
    for mission in missions:
        queue.push(a_call(mission=mission))
    held: Counter[str] = Counter()
    running: list[Call] = []
    while queue.size or running:
        while (call := queue.pop()) is not None:
            bulkhead.take(call)
            held[call.flow] += 1
            running.append(call)
            assert held[call.flow] <= limit
        for mission in {call.flow for call in running}:
            assert held[mission] == min(
                limit, held[mission] + sum(each.flow == mission for each in _waiting(queue))
            ), "nobody waits who need not"
        done = running.pop(0)
        held[done.flow] -= 1
        bulkhead.give_back(done)
    assert held.total() == 0


def test_what_comes_back_waits_for_room_in_its_mission_and_is_then_its_first():
    bulkhead = Bulkhead(1)
    queue = FairQueue(bulkhead=bulkhead)
    runs, back, other = a_call(mission="a"), a_call(mission="a"), a_call(mission="b")
    bulkhead.take(runs)
    queue.push(early := a_call(mission="a", deadline=1.0))
    queue.push(other)
    queue.push_first(back)
    assert popped(queue) == [other]
    assert queue.size == 2
    bulkhead.give_back(runs)
    assert queue.pop() is back
    bulkhead.take(back)
    assert queue.pop() is None
    queue.push_first(late := a_call(mission="a"))
    assert queue.pop() is None
    queue.cancel(late)
    assert queue.empty() == [early]


def test_a_place_is_lent_to_called_ones_while_its_holder_waits():
    bulkhead = Bulkhead(1)
    queue = FairQueue(bulkhead=bulkhead)
    caller, plain, called = (a_call(mission="a", called=called) for called in (False, False, True))
    bulkhead.take(caller)
    queue.push(plain)
    queue.push(called)
    assert queue.pop() is None, "nobody knows yet that it waits"
    bulkhead.lend(caller)
    bulkhead.lend(caller)
    assert queue.pop() is called
    bulkhead.take(called)
    queue.push(a_call(mission="a", called=True))
    assert queue.pop() is None, "one place is lent once"
    bulkhead.give_back(called)
    bulkhead.reclaim(caller)
    assert queue.pop() is None
    bulkhead.give_back(caller)
    assert queue.pop() is plain


def test_a_called_one_passes_one_of_its_mission_that_was_there_before():
    bulkhead = Bulkhead(1)
    queue = FairQueue(bulkhead=bulkhead)
    caller, plain = a_call(mission="a"), a_call(mission="a")
    bulkhead.take(caller)
    bulkhead.lend(caller)
    queue.push(plain)
    assert queue.pop() is None
    queue.push(called := a_call(mission="a", called=True))
    assert queue.pop() is called


def _waiting(queue: FairQueue) -> list[Call]:
    return [
        entry[2]
        for lane in queue._lanes
        for flow in lane._flows.values()
        for entry in flow.heap
        if entry[2].place is not None
    ]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_that_makes_no_sense_is_refused(weight):
    with pytest.raises(ValidationError, match="weights"):
        QueueOptions(weights={"a": weight})
