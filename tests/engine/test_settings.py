"""Settings: the tree, its sources, and faults that name themselves."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import annotated_types
import pytest
from pydantic import BaseModel

from citadel.errors import BadConfig
from engine.settings import Settings, example, is_loopback, section_of, split_address
from engine.settings_sources import combine, load, parse_assignment


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith("CITADEL_ENGINE_"):
            monkeypatch.delenv(name)


def fields(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, field in model.model_fields.items():
        yield f"{prefix}{key}", field
        if (inner := section_of(field.annotation)) is not None:
            yield from fields(inner[0], f"{prefix}{key}.")


def test_every_key_has_a_help_text_and_every_number_a_range() -> None:
    for name, field in fields():
        assert field.description, name
        if field.annotation in (int, float):
            bounds = {type(each) for each in field.metadata}
            assert bounds & {annotated_types.Ge, annotated_types.Gt}, name
            assert bounds & {annotated_types.Le, annotated_types.Lt}, name


def test_defaults_serve_the_survey_on_loopback() -> None:
    settings = load()
    assert settings.listen == "127.0.0.1:7431"
    assert settings.loopback
    (pool,) = settings.pools
    assert (pool.name, pool.adapter) == ("python", "engine.sentinels.survey.adapter:SurveyAdapter")
    assert pool.size >= 2
    assert settings.providers[0].kind == "simulated"
    assert not settings.tls.on


def test_file_below_environment_below_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(
        'listen = "127.0.0.1:1"\ndrain_seconds = 1\n[sentinels]\nmax_restarts = 1\n'
        "window_seconds = 7\n"
    )
    monkeypatch.setenv("CITADEL_ENGINE_DRAIN_SECONDS", "2")
    monkeypatch.setenv("CITADEL_ENGINE_SENTINELS__MAX_RESTARTS", "2")
    settings = load(file, {"sentinels": {"max_restarts": 3}}, {"metrics": {"listen": ""}})
    assert settings.listen == "127.0.0.1:1"
    assert settings.drain_seconds == 2
    assert settings.sentinels.max_restarts == 3
    assert settings.sentinels.window_seconds == 7
    assert settings.metrics.listen == ""


def test_environment_takes_lists_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITADEL_ENGINE_POOLS", '[{"name": "a", "adapter": "m:C", "size": 3}]')
    assert [(pool.name, pool.size) for pool in load().pools] == [("a", 3)]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"lisen": "x"}, ["'lisen' is no setting", "did you mean 'listen'"]),
        ({"metrics": {"listn": "x"}}, ["'metrics.listn'", "'metrics.listen'"]),
        ({"pools": [{"nmae": "a", "adapter": "m:C"}]}, ["pools[0].nmae", "pools[0].name"]),
        ({"zzzz": 1}, ["'zzzz' is no setting", "keys here are listen"]),
        ({"listen": "nowhere"}, ["listen: 'nowhere' is not HOST:PORT"]),
        ({"listen": "h:70000"}, ["not HOST:PORT"]),
        ({"drain_seconds": -1}, ["drain_seconds", "greater than or equal to 0", "given -1"]),
        ({"pools": [{"name": "a", "adapter": "os.system"}]}, ["pools[0].adapter"]),
        ({"pools": [{"adapter": "m:C"}]}, ["pools[0].name: Field required"]),
        (
            {"pools": [{"name": "a", "adapter": "m:C"}, {"name": "a", "adapter": "m:C"}]},
            ["two entries named 'a'"],
        ),
        ({"listen": "0.0.0.0:1"}, ["no token is set"]),
        (
            {
                "pools": [
                    {
                        "name": "a",
                        "adapter": "m:C",
                        "backend": "ray",
                        "environment": {"requirements": ["six"]},
                    }
                ]
            },
            ["install its requirements on the nodes of Ray"],
        ),
        ({"tls": {"cert": "c.pem"}}, ["cert and key go together"]),
        ({"tls": {"client_ca": "c.pem"}}, ["client_ca needs"]),
        ({"auth": {"tokens": [{"name": "a", "sha256": "xyz"}]}}, ["auth.tokens[0].sha256"]),
    ],
)
def test_faults_name_the_key_and_the_remedy(flags: dict[str, object], says: list[str]) -> None:
    with pytest.raises(BadConfig) as caught:
        load(flags=flags)
    assert caught.value.message.startswith("the flags: ")
    assert caught.value.remedy
    for part in says:
        assert part in caught.value.message


def test_a_fault_names_the_file_that_it_is_in(tmp_path: Path) -> None:
    file = tmp_path / "engine.toml"
    file.write_text("[sentinels]\nmax_restart = 3\n")
    with pytest.raises(BadConfig) as caught:
        load(file, {"drain_seconds": 3, "sentinels": {"window_seconds": 3}})
    assert str(file) in caught.value.message
    assert "did you mean 'sentinels.max_restarts'" in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"), [("listen = ", "is no TOML"), (None, "No such file"), ("\0", "is no TOML")]
)
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str | None, says: str) -> None:
    file = tmp_path / "engine.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadConfig) as caught:
        load(file)
    assert says in caught.value.message
    assert str(file) in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CITADEL_ENGINE_LISTN", "x", "did you mean 'listen'"),
        ("CITADEL_ENGINE_METRICS__LISTN", "x", "did you mean 'metrics.listen'"),
        ("CITADEL_ENGINE_POOLS", "[", "pools"),
        ("CITADEL_ENGINE_DRAIN_SECONDS", "soon", "drain_seconds"),
    ],
)
def test_faults_of_the_environment(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadConfig) as caught:
        load()
    assert says in caught.value.message


def test_open_to_others_only_with_token_and_tls_or_the_word_for_it() -> None:
    tokens = [{"name": "a", "role": "admin", "sha256": "0" * 64}]
    with pytest.raises(BadConfig, match="without TLS"):
        load(flags={"listen": "0.0.0.0:1", "auth": {"tokens": tokens}})
    load(flags={"listen": "0.0.0.0:1", "auth": {"tokens": tokens}, "tls": {"self_signed": True}})
    load(flags={"listen": "0.0.0.0:1", "auth": {"tokens": tokens, "allow_plain_remote": True}})


def test_assignments() -> None:
    assert parse_assignment("a.b=3") == {"a": {"b": 3}}
    assert parse_assignment("a=127.0.0.1:1") == {"a": "127.0.0.1:1"}
    assert parse_assignment('a=["x"]') == {"a": ["x"]}
    assert combine({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
    with pytest.raises(BadConfig):
        parse_assignment("a.b")


def test_addresses() -> None:
    assert split_address("[::1]:80") == ("::1", 80)
    assert split_address("host.name:0") == ("host.name", 0)
    for bad in ("", "host", "host:", ":80", "host:x", "host:-1"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            split_address(bad)
    assert is_loopback("127.8.9.1")
    assert not is_loopback("127.evil.example")


def test_the_example_is_toml_that_loads_once_its_comments_are_taken_away(tmp_path: Path) -> None:
    text = example()
    assert tomllib.loads(text) == {}
    keys = {line.removeprefix("# ").split(" = ")[0] for line in text.splitlines() if " = " in line}
    assert keys >= {"listen", "adapter", "sha256", "max_restarts", "base_url"}


def test_a_bridge_is_meant_from_the_folder_of_its_settings(tmp_path: Path) -> None:
    config = tmp_path / "engine.toml"
    config.write_text(
        '[[pools]]\nname = "a"\nbridge = "sub/bridge.yaml"\n'
        '[[pools]]\nname = "b"\nadapter = "m:C"\n',
        encoding="utf-8",
    )
    first, second = load(config).pools
    assert first.bridge == str(tmp_path / "sub" / "bridge.yaml")
    assert second.bridge == ""
