"""Every message survives the wire; bad bytes and bad values are refused."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import WireError
from citadel.wire import codec, messages
from citadel.wire.messages import (
    Change,
    Column,
    ColumnBatch,
    MissionStatus,
    ResizeRequest,
    SamplingPreview,
    WatchBatch,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=20),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
}
CLASSES = codec.message_classes()


def field_strategy(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is None:
        one = SCALARS[field.type]
        return st.lists(one, max_size=3).map(tuple) if field.is_repeated else one
    if field.message_type.GetOptions().map_entry:
        values = field.message_type.fields_by_name["value"]
        return st.dictionaries(TEXTS, SCALARS[values.type], max_size=3)
    message = st.deferred(lambda: message_strategy(CLASSES[field.message_type.name]))
    if field.is_repeated:
        return st.lists(message, max_size=2).map(tuple)
    return st.none() | message


def message_strategy(cls: type[Any]) -> st.SearchStrategy[Any]:
    descriptor = codec._protobuf_class(cls).DESCRIPTOR
    return st.builds(cls, **{field.name: field_strategy(field) for field in descriptor.fields})


@given(st.sampled_from(sorted(CLASSES)).flatmap(lambda name: message_strategy(CLASSES[name])))
def test_what_is_sent_is_what_arrives(message: Any) -> None:
    assert codec.decode(type(message), codec.encode(message)) == message


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_message_without_values_arrives_as_such(name: str) -> None:
    cls = CLASSES[name]
    assert codec.encode(cls()) == b""
    assert codec.decode(cls, b"") == cls()


def test_dataclasses_and_protos_have_the_same_fields() -> None:
    for name, cls in CLASSES.items():
        descriptor = codec._protobuf_class(cls).DESCRIPTOR
        declared = [field.name for field in dataclasses.fields(cls)]
        assert declared == [field.name for field in descriptor.fields], name


def test_what_is_decoded_cannot_be_changed_and_needs_no_protobuf() -> None:
    sent = WatchBatch(
        last_seq=7,
        batches=(ColumnBatch(topic="event", rows=1, columns=(Column(name="a", strings=("x",)),)),),
    )
    got = codec.decode(WatchBatch, codec.encode(sent))
    assert got == sent
    assert isinstance(got.batches, tuple)
    assert isinstance(got.batches[0].columns[0].strings, tuple)
    with pytest.raises(dataclasses.FrozenInstanceError):
        got.last_seq = 8  # type: ignore[misc]


def test_an_unset_message_is_none_and_an_empty_one_is_not() -> None:
    unset = codec.decode(ResizeRequest, codec.encode(ResizeRequest(pool="p")))
    assert unset.change is None
    empty = codec.decode(ResizeRequest, codec.encode(ResizeRequest(pool="p", change=Change())))
    assert empty.change == Change()


def test_maps_arrive_as_dicts() -> None:
    preview = SamplingPreview(matched={"default": 3, "": 1})
    got = codec.decode(SamplingPreview, codec.encode(preview))
    assert isinstance(got.matched, Mapping)
    assert dict(got.matched) == {"default": 3, "": 1}


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    try:
        got = codec.decode(MissionStatus, data)
    except WireError as error:
        assert "MissionStatus" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(got, MissionStatus)


@pytest.mark.parametrize(
    "message",
    [
        MissionStatus(done=-1),
        MissionStatus(done=2**64),
        MissionStatus(id=5),  # type: ignore[arg-type]
        MissionStatus(id="\ud800"),
    ],
)
def test_a_value_that_does_not_fit_is_a_wire_error(message: MissionStatus) -> None:
    with pytest.raises(WireError, match="MissionStatus"):
        codec.encode(message)


def test_what_is_no_message_is_a_wire_error() -> None:
    with pytest.raises(WireError, match="no message of the wire"):
        codec.encode(object())


def test_methods_are_the_services_of_the_design() -> None:
    services = {name.partition(".")[0] for name in codec.methods()}
    assert services == {
        "Engine",
        "Pools",
        "Sentinels",
        "Missions",
        "Traces",
        "Sampling",
        "Defense",
        "Exporters",
        "Recordings",
    }
    assert {name for name, method in codec.methods().items() if method.streams} == {
        "Engine.Watch",
        "Pools.RunMany",
        "Pools.Stream",
        "Recordings.Fetch",
        "Traces.Export",
    }
    assert {name for name, method in codec.methods().items() if method.streams_in} == {
        "Pools.RunMany",
        "Pools.Stream",
    }
    run = codec.methods()["Pools.Run"]
    assert (run.path, run.request, run.response) == (
        "/citadel.wire.v1.Pools/Run",
        messages.Command,
        messages.CommandResult,
    )
    assert len(codec.service_names()) == len(services)
