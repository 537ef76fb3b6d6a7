"""The wire's committed code is what the protos make."""

from pathlib import Path

from citadel.wire import generate


def test_protobuf_modules_are_fresh(tmp_path: Path) -> None:
    generate.compile_protos(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*_pb2*"))
    committed = sorted(
        path.relative_to(generate.ROOT)
        for path in (generate.ROOT / generate.PROTO_DIR).glob("*_pb2*")
    )
    assert made == committed
    for path in made:
        text = (generate.ROOT / path).read_text(encoding="utf-8")
        assert (tmp_path / path).read_text(encoding="utf-8") == text, f"run `poe protos`: {path}"


def test_messages_are_fresh() -> None:
    committed = (generate.ROOT / generate.MESSAGES).read_text(encoding="utf-8")
    assert generate.messages_source() == committed, "run `poe protos`"
