"""The error contract: "error: what (what to do)" on standard error, an exit code, no traceback."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import NoReturn

import click

from citadel.cli.text import clean, headline, place
from citadel.errors import CitadelError

FAILED, USAGE, INTERRUPTED = 1, 2, 130
DEBUG = "CITADEL_DEBUG"
"""With this variable set, an error that is not ours shows its traceback."""


def run(command: click.Command, arguments: list[str] | None = None) -> NoReturn:
    """Runs a command line to its end, and the process with it."""
    wants_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        code = command.main(arguments, prog_name="citadel", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`); what is left to write goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("interrupted\n")
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the seam where all errors become text
        code = report(_first(error), wants_json=wants_json)
    sys.exit(code if isinstance(code, int) else 0)


def report(error: Exception, *, wants_json: bool) -> int:
    """Says what happened and what to do; returns the exit code."""
    subject, remedy, details, code = "", "", dict[str, str](), FAILED
    match error:
        case CitadelError():
            what, subject, details = headline(error.message), error.subject, error.details
            remedy = error.remedy
        case click.exceptions.NoArgsIsHelpError():
            sys.stderr.write(error.format_message() + "\n")
            return USAGE
        case click.UsageError():
            what, code = error.format_message().rstrip("."), USAGE
            path = error.ctx.command_path if error.ctx else "citadel"
            remedy = f"See {path} --help"
        case click.ClickException():
            what, code = error.format_message().rstrip("."), error.exit_code
        case OSError() if error.filename:
            what = f"{error.filename}: {error.strerror}"
        case _:
            what = f"unexpected {type(error).__name__}: {error}"
            remedy = f"This is a fault of citadel: report it; {DEBUG}=1 shows where"
            if os.environ.get(DEBUG):
                traceback.print_exception(error)
    sys.stderr.write(clean(f"error: {what}" + (f" ({remedy})" if remedy else "")) + "\n")
    if where := place(details.get("traceback", "")):
        sys.stderr.write(clean(f"  at {where}; --json has the traceback") + "\n")
    if wants_json:
        said = {
            "type": type(error).__name__,
            "message": what,
            "subject": subject,
            "remedy": remedy,
            "details": details,
        }
        sys.stdout.write(json.dumps({"error": said}, ensure_ascii=False) + "\n")
    return code


def _first(error: Exception) -> Exception:
    """The error in a group of one: a TaskGroup wraps what its task raised."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
