"""The survey's tools, hosted by workers: they list, measure and recount Python files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from citadel import telemetry
from citadel.adapter import Adapter, check_cancelled, tool
from citadel.errors import InvalidRequest
from engine.sentinels.survey.measure import MAX_FILE_BYTES, measure, recount

SKIPPED_FOLDERS = frozenset({"site-packages", "__pycache__", ".git", ".venv", "node_modules"})
MAX_FILES = 100_000


class SurveyAdapter(Adapter):
    """Reads files; changes nothing."""

    @tool
    def list_sources(self, path: str, limit: int = 0) -> list[str]:
        """Lists the Python files below a folder, sorted, relative to it; links are not followed."""
        found: list[str] = []
        root = Path(path)
        for folder, names, files in os.walk(root):
            check_cancelled()
            names[:] = sorted(name for name in names if name not in SKIPPED_FOLDERS)
            here = Path(folder)
            found += [
                (here / name).relative_to(root).as_posix()
                for name in files
                if name.endswith(".py") and not (here / name).is_symlink()
            ]
            if len(found) > MAX_FILES:
                raise InvalidRequest(f"{path} has more than {MAX_FILES} Python files", subject=path)
        return sorted(found)[: limit or None]

    @tool
    def survey_file(self, path: str) -> dict[str, Any]:
        """Measures one Python file: size, tokens, functions, classes, complexity, blocks."""
        data = _read(path)
        with telemetry.span("measure", bytes=len(data)):
            try:
                return {"status": "ok", "error": "", **measure(data)}
            except (SyntaxError, ValueError, RecursionError) as error:
                return {
                    "status": "error",
                    "error": f"{type(error).__name__}: {error}",
                    "bytes": len(data),
                }

    @tool
    def verify_file(self, path: str) -> dict[str, Any]:
        """Counts some of the figures of `survey_file` another way."""
        return recount(_read(path))


def _read(path: str) -> bytes:
    try:
        size = Path(path).stat().st_size
        if size > MAX_FILE_BYTES:
            raise InvalidRequest(
                f"{path} has {size} bytes, more than {MAX_FILE_BYTES}", subject=path
            )
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"{path} cannot be read: {error.strerror}",
            subject=path,
            remedy="Check the path and its permissions",
        ) from error
