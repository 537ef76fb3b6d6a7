"""The survey's figures on files that are hard to read right."""

import ast
import sysconfig
import tokenize
from pathlib import Path

import pytest

from engine.sentinels.survey.adapter import SurveyAdapter
from engine.sentinels.survey.measure import blocks, measure, recount

SOURCES = {
    "empty": (b"", 0, 0, 0),
    "comment only": (b"# nothing here\n", 0, 0, 0),
    "nested": (b"def a():\n    def b():\n        if 1: pass\n    return b\n", 2, 2, 3),
    "lambda counts to its function": (b"def a():\n    return lambda x: x if x else 1\n", 1, 2, 2),
    "outside of functions": (b"if 1:\n    pass\nx = [i for i in () if i]\n", 0, 0, 0),
    "async": (b"async def a(s):\n    async for x in s:\n        await x\n", 1, 2, 2),
    "boolean": (b"def a(x, y, z):\n    return x and y and z or x\n", 1, 4, 4),
    "match": (
        b"def a(x):\n match x:\n  case 1: pass\n  case [y]: pass\n  case _: pass\n",
        1,
        3,
        3,
    ),
    "guarded wildcard": (b"def a(x):\n    match x:\n        case _ if x: pass\n", 1, 2, 2),
    "elif": (b"def a(x):\n    if x: pass\n    elif not x: pass\n    else: pass\n", 1, 3, 3),
    "decorator runs outside": (
        b"def o(x):\n    @(x if x else o)\n    def i(): pass\n    return i\n",
        2,
        2,
        3,
    ),
    "class inside": (b"def a():\n    class B:\n        x = 1 if a else 2\n", 1, 2, 2),
}


@pytest.mark.parametrize("name", SOURCES)
def test_functions_and_complexity(name):
    data, functions, most, total = SOURCES[name]
    found = measure(data)
    assert (found["functions"], found["complexity_max"], found["complexity_sum"]) == (
        functions,
        most,
        total,
    )
    again = recount(data)
    assert {key: found[key] for key in again} == again


def test_encodings():
    latin = '# -*- coding: latin-1 -*-\nname = "é"\n'.encode("latin-1")
    assert measure(latin)["lines"] == 2
    assert measure(b"\xef\xbb\xbfx = 1\n")["code_tokens"] == 3
    with pytest.raises(SyntaxError):
        measure(b"x = '\xff'\n")


def test_blocks_skip_blank_lines_and_comments():
    lines = [f"x{n} = {n}" for n in range(6)]
    plain = blocks("\n".join(lines))
    spaced = blocks("\n\n# why\n".join(f"    {line}  " for line in lines))
    assert len(plain) == len(spaced) == 1
    assert plain[0][0] == spaced[0][0]
    assert plain[0][1:] == [1, 2, 3, 4, 5, 6]
    assert spaced[0][1:] == [1, 4, 7, 10, 13, 16]


def test_agrees_with_tokenize_and_ast_on_the_standard_library():
    folder = Path(sysconfig.get_path("stdlib")) / "email"
    for path in sorted(folder.rglob("*.py")):
        data = path.read_bytes()
        found = measure(data)
        with path.open("rb") as file:
            words = [t for t in tokenize.tokenize(file.readline) if t.string.strip()]
        code = [t for t in words if t.type not in (tokenize.COMMENT, tokenize.ENCODING)]
        assert found["code_tokens"] == len(code), path
        names = [type(node).__name__ for node in ast.walk(ast.parse(data))]
        assert found["classes"] == names.count("ClassDef")
        assert found["functions"] == names.count("FunctionDef") + names.count("AsyncFunctionDef")


def test_listing_does_not_follow_links_or_hidden_rooms(tmp_path: Path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text("")
    (tmp_path / "pkg" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.py").symlink_to(tmp_path / "pkg" / "a.py")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "b.py").write_text("")
    (tmp_path / "z.py").write_text("")
    assert SurveyAdapter().list_sources(str(tmp_path)) == ["pkg/a.py", "z.py"]
    assert SurveyAdapter().list_sources(str(tmp_path), limit=1) == ["pkg/a.py"]


def test_a_file_that_does_not_parse_is_a_row(tmp_path: Path):
    broken = tmp_path / "broken.py"
    broken.write_text("def (:\n")
    found = SurveyAdapter().survey_file(str(broken))
    assert found["status"] == "error"
    assert found["error"].startswith("SyntaxError")
