"""The client on a real engine: values, typed errors, traces, changes."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import citadel
from citadel import errors
from citadel.client.client import Client, checked_address
from citadel.client.spans import BUFFER_LIMIT
from citadel.testing import EngineUnderTest, assert_no_errors, assert_span, assert_whole, recorded
from citadel.wire.columns import rows
from citadel.wire.messages import Command, SamplingRule

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


async def test_a_tool_is_called_and_its_value_returned(client: Client) -> None:
    assert await client.pools.call("shed", "add", a=1, b=2) == 3


async def test_values_come_back_as_they_went(engine: EngineUnderTest) -> None:
    with engine.sync_client() as client:

        @settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
        @given(VALUES)
        def goes_round(value: Any) -> None:
            assert client.pools.call("shed", "echo", value=value) == value

        await asyncio.to_thread(goes_round)


@pytest.mark.parametrize("items", [3, 100_000])
async def test_arrays_and_tables_come_back_as_they_went(client: Client, items: int) -> None:
    sent = {"a": np.arange(items, dtype=">f4"), "t": pa.table({"n": np.arange(items)})}
    found = await client.pools.call("shed", "echo", value=sent)
    np.testing.assert_array_equal(found["a"], sent["a"])
    assert found["a"].dtype == sent["a"].dtype
    assert found["t"].equals(sent["t"])


async def test_an_array_of_objects_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(errors.InvalidRequest, match="Python objects") as caught:
        await client.pools.call("shed", "echo", value=np.array([{}], object))
    assert caught.value.remedy


async def test_the_engine_says_what_it_is(client: Client) -> None:
    info = await client.info()
    assert info.role == "admin"
    assert info.wire_version == 1
    assert [(each.name, each.simulated) for each in info.providers] == [("simulated", True)]


@pytest.mark.parametrize(
    ("pool", "tool", "arguments", "cls", "words"),
    [
        ("shed", "ad", {}, errors.UnknownTool, "'ad'|ad"),
        ("shde", "add", {}, errors.NotFound, "'shde'"),
        ("shed", "add", {}, errors.BadArguments, "a: "),
        ("shed", "add", {"a": "x"}, errors.BadArguments, "a: "),
        ("shed", "add", {"a": 1, "c": 2}, errors.BadArguments, "c: "),
        ("shed", "fail", {}, errors.CommandFailed, "the shed is empty"),
        ("shed", "leave", {}, errors.WorkerLost, "code 7"),
        ("broken", "add", {}, errors.AdapterFailed, "NotThere"),
    ],
)
async def test_what_goes_wrong_is_typed_and_names_the_thing(
    client: Client,
    pool: str,
    tool: str,
    arguments: dict[str, Any],
    cls: type[citadel.errors.CitadelError],
    words: str,
) -> None:
    with pytest.raises(cls, match=words) as caught:
        await client.pools.call(pool, tool, **arguments)
    assert type(caught.value) is cls
    assert caught.value.remedy
    assert await client.pools.call("shed", "add", a=2) == 2, "nothing else is disturbed"


async def test_the_traceback_of_a_tool_is_in_the_details(client: Client) -> None:
    with pytest.raises(errors.CommandFailed) as caught:
        await client.pools.call("shed", "fail")
    assert "LookupError" in caught.value.details["traceback"]
    assert "shed.py" in caught.value.details["traceback"]


async def test_an_oversized_message_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(errors.MessageTooLarge, match=r"Pools\.Run"):
        await client.pools.call("shed", "echo", value=b"x" * (17 * 2**20))
    assert await client.pools.call("shed", "add", a=2) == 2


async def test_a_value_that_cannot_be_sent_is_an_invalid_request(client: Client) -> None:
    with pytest.raises(errors.InvalidRequest, match="cannot be sent"):
        await client.pools.call("shed", "echo", value=object())
    with pytest.raises(errors.InvalidRequest, match="cannot be sent"):
        await client.pools.call("shed", "echo", value=2**64)


async def test_a_command_is_cancelled_by_id(client: Client) -> None:
    async def doze() -> None:
        with pytest.raises(errors.Cancelled):
            await client.pools.run(
                Command(id="nap-1", pool="shed", tool="doze", arguments=b"\x81\xa7seconds\x1e")
            )

    async with asyncio.TaskGroup() as group:
        group.create_task(doze())
        async with asyncio.timeout(20):
            while await client.pools.cancel("nap-1") == "unknown":
                await asyncio.sleep(0.02)
    assert await client.pools.cancel("nap-1") == "unknown"


async def test_a_deadline_ends_a_command(client: Client) -> None:
    with pytest.raises(errors.DeadlineExceeded):
        await client.pools.run(
            Command(
                pool="shed",
                tool="doze",
                arguments=b"\x81\xa7seconds\x1e",
                deadline_seconds=0.3,
            )
        )


async def test_one_trace_id_crosses_client_api_pool_worker_and_user_code(client: Client) -> None:
    with client.trace("my job", mission="unit") as span:
        await client.pools.call("shed", "add", a=1)
    spans = await recorded(client, span, name="my job")
    root = assert_whole(spans)
    assert_no_errors(spans)
    assert (root["name"], root["source"], root["mission"]) == ("my job", "client", "unit")
    assert [each["source"] for each in sorted(spans, key=lambda each: each["start_ns"])] == [
        "client",
        "client",
        "api",
        "pool",
        "worker",
        "user",
    ]
    inner = assert_span(spans, name="adding", source="user", attributes={"numbers": 2})
    assert inner["parent_id"] == assert_span(spans, name="run add")["span_id"]
    found = rows(await client.traces.search("mission=unit"))
    assert found[0]["name"] == "my job"


async def test_a_call_that_fails_has_a_span_that_says_so(client: Client) -> None:
    with client.trace("unlucky") as span, pytest.raises(errors.CommandFailed):
        await client.pools.call("shed", "fail")
    spans = await recorded(client, span, name="*Pools/Run", source="client")
    call = assert_span(spans, name="*Pools/Run", source="client")
    assert call["status"] == 2
    assert call["attributes"]["error.type"] == "CommandFailed"


async def test_client_spans_are_bounded_and_the_loss_is_counted() -> None:
    async def record() -> int:
        client = Client("127.0.0.1:1")
        for number in range(BUFFER_LIMIT + 3):
            with client.trace(f"job {number}"):
                pass
        await client.close()
        return client.connection.spans.dropped

    assert await record() == 3


async def test_a_filter_that_cannot_be_read_names_the_column(client: Client) -> None:
    with pytest.raises(errors.BadFilter, match="at column 11") as caught:
        await client.traces.search("error and durr>5ms")
    assert "dur" in caught.value.remedy


async def test_a_change_based_on_an_old_revision_is_refused(client: Client) -> None:
    before = await client.sampling.get()
    rules = (*before.rules, SamplingRule(id="test", mission="nothing", rate=0.5))
    after = await client.sampling.apply(rules, revision=before.revision, reason="a test")
    try:
        assert after.revision > before.revision
        with pytest.raises(errors.Conflict):
            await client.sampling.apply(before.rules, revision=before.revision)
    finally:
        await client.sampling.apply(before.rules, revision=after.revision)
    table, intact = await client.audit()
    assert intact
    assert "a test" in [row["reason"] for row in rows(table)]


async def test_a_preview_changes_nothing(client: Client) -> None:
    before = await client.defense.get()
    layers = [replace(layer, enabled=False) for layer in before.layers]
    await client.defense.preview(strict=True, layers=layers)
    assert await client.defense.get() == before


async def test_pools_are_resized_and_workers_replaced(client: Client) -> None:
    assert (await client.pools.resize("shed", 2)).size == 2
    assert (await client.pools.resize("shed", 1)).size == 1
    (pool,) = [pool for pool in await client.pools.list() if pool.name == "shed"]
    assert pool.size == 1
    with pytest.raises(errors.NotFound, match="nobody"):
        await client.pools.kill_worker("shed", "nobody")


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:x", "host:70000", "h:-1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="no address"):
        checked_address(address)


async def test_a_wrong_token_is_unauthenticated(engine: EngineUnderTest) -> None:
    for token in ("", "wrong"):
        with pytest.raises(errors.Unauthenticated) as caught:
            async with citadel.connect(engine.address, token=token):
                pass
        assert "CITADEL_TOKEN" in caught.value.remedy


async def test_the_token_may_come_from_the_environment(
    engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITADEL_TOKEN", engine.token)
    async with citadel.connect(engine.address) as client:
        assert (await client.info()).role == "admin"


async def test_tls_against_plain_text_is_said(engine: EngineUnderTest) -> None:
    with pytest.raises(errors.TlsMismatch, match="plain text") as caught:
        async with citadel.connect(engine.address, token=engine.token, tls=True):
            pass
    assert "--tls" in caught.value.remedy


async def test_a_certificate_file_that_is_not_there_is_bad_config() -> None:
    with pytest.raises(errors.BadConfig, match=r"nowhere\.pem"):
        citadel.connect("127.0.0.1:1", tls=citadel.TLS(ca="nowhere.pem"))


async def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(errors.Unavailable, match=r"127\.0\.0\.1:1"):
        async with citadel.connect("127.0.0.1:1"):
            pass
