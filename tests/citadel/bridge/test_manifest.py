"""Manifests: what is refused says where it is, and what was meant."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.bridge.manifest import Loaded, load, matches
from citadel.bridge.surface import Surface, resolve
from citadel.errors import BadConfig

Load = Callable[[str], Loaded]
Resolve = Callable[[str], Surface]


def test_a_short_entry_is_a_name(loaded: Load) -> None:
    manifest = loaded(
        """
        version: 1
        libraries:
          - module: math
            functions: [sqrt, {name: log, rename: ln, idempotent: true}]
            classes: [{name: C, construct: true}]
        """
    ).manifest
    (library,) = manifest.libraries
    assert [each.name for each in library.functions] == ["sqrt", "log"]
    assert library.functions[1].rename == "ln"
    assert library.classes[0].constructed
    assert library.prefix == "math"
    assert manifest.limits.objects == 256


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("version: 1\nlibraries:\n  - module: math\n    function: [sqrt]\n", 4, "'functions'"),
        ("version: 1\nlimit: {}\nlibraries: [{module: math}]\n", 2, "'limits'"),
        ("version: 1\nlimits:\n  ttl: 3\nlibraries: [{module: math}]\n", 3, "ttl_seconds"),
        ("version: 2\nlibraries: [{module: math}]\n", 1, "given 2"),
        ("libraries: [{module: math}]\n", 1, "'version' is missing"),
        ("version: 1\nlibraries: []\n", 2, "at least 1"),
        ("version: 1\nlibraries:\n  - module: 'os; import x'\n", 3, "no public module"),
        ("version: 1\nlibraries:\n  - module: __main__\n", 3, "no public module"),
        ("version: 1\nlibraries:\n  - module: os._exit\n", 3, "no public module"),
        ("version: 1\nlibraries:\n  - module: m\n    functions: [__import__]\n", 4, "no public"),
        ("version: 1\nlibraries:\n  - module: m\n    functions: [path.join]\n", 4, "no public"),
        ("version: 1\nlibraries:\n  - module: m\n    functions: ['_*']\n", 4, "no public"),
        ("version: 1\nlibraries:\n  - module: m\n    name: bridge\n", 4, "bridge's own"),
        ("version: 1\nlibraries:\n  - module: m\n    module: n\n", 4, "there twice"),
        ("version: 1\nlibraries: [&a {module: m}, *a]\n", 2, "aliases"),
        ("version: 1\nlibraries: [{module: !!python/name:os.system x}]\n", 2, "not read"),
        ("version: 1\nlibraries:\n  - module: [\n", 4, "no YAML"),
        ("- 1\n", 1, "a manifest is a map"),
        ("", 1, "a manifest is a map"),
        ("version: 1\nlibraries: " + "[" * 5000, 2, "deep"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(loaded: Load, text: str, line: int, said: str) -> None:
    with pytest.raises(BadConfig) as caught:
        loaded(text)
    assert f"bridge.yaml:{line}: " in caught.value.message
    assert said in caught.value.message
    assert caught.value.details.get("line", str(line)) == str(line)
    assert caught.value.remedy


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot read"):
        load(tmp_path / "nothing.yaml")


def test_a_manifest_that_is_too_large(loaded: Load) -> None:
    with pytest.raises(BadConfig, match="bytes"):
        loaded("# " + "x" * (1 << 20))


@given(st.text(max_size=200) | st.binary(max_size=200).map(repr))
def test_any_text_is_a_manifest_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "bridge.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(BadConfig):
        load(path)


@given(st.text(alphabet="_ab*?", min_size=1), st.text(alphabet="ab_*?[]", min_size=1))
def test_no_pattern_matches_a_private_name(name: str, pattern: str) -> None:
    assert not matches(f"_{name}", pattern)


# ── names in libraries ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("entry", "line", "said"),
    [
        ("functions: [hintet]", 5, "did you mean 'hinted'?"),
        ("functions: [Box]", 5, "is a class"),
        ("functions: [LIMIT]", 5, "cannot be called"),
        ("functions: ['zz*']", 5, "matches no function"),
        ("functions: [{name: 'h*', rename: x}]", 5, "cannot be renamed"),
        ("functions: [hinted, {name: bare, rename: hinted}]", 5, "two tools"),
        ("functions: [{name: sort_by, callbacks: [keys]}]", 5, "did you mean 'key'?"),
        ("classes: [hinted]", 5, "is no class"),
        ("classes: [Box, Box]", 5, "there twice"),
        ("classes: [{name: Box, methods: [gett]}]", 5, "did you mean 'get'?"),
        ("classes: [{name: Box, attributes: [get]}]", 5, "is a method"),
        ("classes: [{name: Boxx}]", 5, "did you mean 'Box'?"),
    ],
)
def test_a_name_that_the_library_has_not(
    surface: Resolve, entry: str, line: int, said: str
) -> None:
    with pytest.raises(BadConfig) as caught:
        surface(f"\nversion: 1\nlibraries:\n  - module: bridged_sample\n    {entry}\n")
    assert f"bridge.yaml:{line}: " in caught.value.message
    assert said in caught.value.message


def test_a_library_that_is_not_installed(surface: Resolve) -> None:
    with pytest.raises(BadConfig, match=r"bridge.yaml:2: .*did you mean 'numpy'"):
        surface("version: 1\nlibraries: [{module: numppy}]")


def test_a_library_that_does_not_import(surface: Resolve, tmp_path: Path, monkeypatch) -> None:
    for name, text in {
        "bridged_raises": "raise RuntimeError('no licence')",
        "bridged_exits": "import sys; sys.exit(3)",
        "bridged_needs": "import not_installed_anywhere",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, said in {
        "bridged_raises": "RuntimeError: no licence",
        "bridged_exits": "SystemExit",
        "bridged_needs": "needs not_installed_anywhere",
    }.items():
        with pytest.raises(BadConfig, match=said):
            surface(f"version: 1\nlibraries: [{{module: {name}}}]")


def test_a_class_that_nobody_can_make(surface: Resolve) -> None:
    with pytest.raises(BadConfig, match=r"nobody make a re\.Match"):
        surface("version: 1\nlibraries: [{module: re, classes: [{name: Match, construct: true}]}]")


def test_patterns_take_what_is_public_and_its_own(surface: Resolve) -> None:
    found = surface(
        """
        version: 1
        libraries:
          - module: bridged_sample
            name: sample
            functions: [{name: bare, rename: naked}, "*"]
            exclude: [st*]
            classes: [{name: Box, methods: ["*"], exclude: [fail], attributes: [size, content]}]
        """
    )
    names = set(found.tools)
    assert {"sample.naked", "sample.hinted", "sample.Box.get", "sample.Box.size"} <= names
    assert not names & {"sample.bare", "sample.stubbed", "sample.imported", "sample.Box.fail"}
    assert not names & {"sample.Box", "sample.Box.default"}
    assert not [each for each in names if "._" in each]
    left = {each.name: each.why for each in found.left_out}
    assert left["bridged_sample.stubbed"] == "excluded"
    assert left["bridged_sample.Point"] == "a class that is not listed"
    assert left["bridged_sample.LIMIT"] == "a value, no function"


def test_a_subclass_has_the_face_of_its_nearest_listed_base(surface: Resolve) -> None:
    from bridged_sample import Point, SmallBox

    found = surface("version: 1\nlibraries: [{module: bridged_sample, classes: [Box]}]")
    face = found.face(SmallBox)
    assert face is not None
    assert face.tool == "bridged_sample.Box"
    assert found.face(Point) is None


def test_the_lock_lies_beside_the_manifest(loaded: Load) -> None:
    plain = loaded("version: 1\nlibraries: [{module: math}]")
    assert plain.lock_path == plain.path.with_name("bridge.lock")
    named = loaded("version: 1\nlock: other.json\nlibraries: [{module: math}]")
    assert named.lock_path == named.path.with_name("other.json")
    assert resolve(named).tools == {}
