#!/usr/bin/env python3
"""Sets Citadel up in `.venv` and runs it. Standard library only; Linux, macOS and Windows.

    python3 bootstrap.py            set up, then open the control room
    python3 bootstrap.py test       set up, then run every check and test
    python3 bootstrap.py engine     set up, then run an engine without a window
    python3 bootstrap.py render     set up, then draw the window to a PNG, without a display
    python3 bootstrap.py doctor     say what is there and what is missing; changes nothing

What follows a verb is passed on: `bootstrap.py engine --listen 0.0.0.0:7431`.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "citadel-setup"
OLDEST_PYTHON = (3, 11)
NO_DISPLAY = 3

# Each shared library that Qt opens, and the Debian package that has it.
QT_LIBRARIES = {
    "libglib-2.0.so.0": "libglib2.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libX11.so.6": "libx11-6",
}
XCB_LIBRARIES = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb-util.so.1": "libxcb-util1",
    "libX11-xcb.so.1": "libx11-xcb1",
}
# What the end-to-end tests operate the window with.
TEST_PROGRAMS = {"Xvfb": "xvfb", "xdotool": "xdotool"}
PROMETHEUS = VENV / "peers" / "prometheus"
"""Debian's package, unpacked and not installed: nothing is started, nothing listens."""


class Check(NamedTuple):
    """One line of `doctor`: what was looked at, whether it is well, and what to do if not."""

    what: str
    well: bool
    note: str


def main() -> int:
    """Runs the verb; returns the exit code of what it ran."""
    parser = argparse.ArgumentParser(
        prog="bootstrap.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = {"run": run, "test": test, "engine": engine, "render": render, "doctor": doctor}
    parser.add_argument("verb", nargs="?", default="run", choices=verbs)
    options, rest = parser.parse_known_args()
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        stop(f"Python {wanted} or newer is needed; this is {sys.version.split()[0]}")
    return verbs[options.verb](rest)


def run(arguments: list[str]) -> int:
    """Opens the control room."""
    if not has_display():
        say(
            "There is no display here, so no window can open. Draw it to a file instead:\n"
            "    python3 bootstrap.py render --view bridge --out citadel.png\n"
            "or run an engine to connect to from elsewhere:\n"
            "    python3 bootstrap.py engine"
        )
        return NO_DISPLAY
    set_up()
    ensure_libraries({**QT_LIBRARIES, **XCB_LIBRARIES})
    return call("-m", "app.main", *arguments)


def render(arguments: list[str]) -> int:
    """Draws the window to a PNG after the mission has run for some seconds."""
    set_up()
    ensure_libraries(QT_LIBRARIES)
    return call("-m", "app.render", *arguments)


def engine(arguments: list[str]) -> int:
    """Runs an engine in the foreground."""
    set_up()
    return call("-m", "engine.main", *arguments)


def test(arguments: list[str]) -> int:
    """Lint, types, tests, end-to-end tests; with arguments, pytest with just those."""
    set_up()
    ensure_libraries({**QT_LIBRARIES, **XCB_LIBRARIES}, TEST_PROGRAMS)
    ensure_prometheus()
    if arguments:
        return call("-m", "pytest", *arguments)
    for task in ("lint", "types", "test", "e2e"):
        say(f"── poe {task}")
        if code := call("-m", "poethepoet", task):
            say(f"poe {task} failed with exit code {code}: see above")
            return code
    return 0


def doctor(_arguments: list[str]) -> int:
    """Says what is there and what is missing."""
    checks = [
        Check("Python", True, sys.version.split()[0]),
        Check(
            "environment",
            is_set_up(),
            ".venv matches requirements.lock" if is_set_up() else "run: python3 bootstrap.py",
        ),
    ]
    if sys.platform == "linux":
        missing = missing_packages({**QT_LIBRARIES, **XCB_LIBRARIES}, {})
        note = "all found" if not missing else f"missing: {' '.join(missing)}"
        checks.append(Check("Qt's libraries", not missing, note))
    checks.append(
        Check(
            "display",
            has_display(),
            "found" if has_display() else "none: use `render`, or `engine`",
        )
    )
    if is_set_up():
        checks += [import_check("window", "PySide6.QtWidgets"), import_check("engine", "grpc")]
    for check in checks:
        say(f"{'ok  ' if check.well else 'MISS'}  {check.what}: {check.note}")
    return 0 if all(check.well for check in checks if check.what != "display") else 1


# ── setting up ───────────────────────────────────────────────────────────────────────────────────


def set_up() -> None:
    """Makes `.venv` with what requirements.lock names; does nothing when it has it already."""
    if is_set_up():
        return
    if not python().exists():
        ensure_venv_module()
        say("Making .venv")
        check_call([sys.executable, "-m", "venv", str(VENV)], "making .venv")
    say("Installing the locked requirements (once; about a minute)")
    install_uv()
    uv = [str(python()), "-m", "uv", "pip", "install", "--quiet", "--python", str(python())]
    check_call([*uv, "--require-hashes", "-r", str(LOCK)], "installing requirements.lock")
    check_call(
        [*uv, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
        "installing citadel-command itself",
    )
    STAMP.write_text(fingerprint(), encoding="utf-8")


def install_uv() -> None:
    """Installs uv by pip, with the hashes that the lock has for it."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("uv=="))
    end = start + 1
    while end < len(lines) and lines[end].startswith("    "):
        end += 1
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "uv.txt"
        wanted.write_text("\n".join(lines[start:end]), encoding="utf-8")
        pip = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        check_call([*pip, "--require-hashes", "-r", str(wanted)], "installing uv")


def ensure_venv_module() -> None:
    """Debian splits venv off: installs it as root, else says how."""
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        ensure_packages([f"python{version}-venv"], "Python's venv module")


def is_set_up() -> bool:
    """Whether `.venv` was made from the lock and the project file as they are now."""
    return (
        python().exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == fingerprint()
    )


def fingerprint() -> str:
    """What `.venv` depends on, as a hash."""
    parts = [LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def python() -> Path:
    """The environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


# ── the system's libraries ───────────────────────────────────────────────────────────────────────


def ensure_libraries(libraries: dict[str, str], programs: dict[str, str] | None = None) -> None:
    """On Linux, installs what is missing (Debian, Ubuntu, as root) or says how, and stops."""
    if sys.platform == "linux" and (missing := missing_packages(libraries, programs or {})):
        ensure_packages(missing, "Qt's system libraries")


def missing_packages(libraries: dict[str, str], programs: dict[str, str]) -> list[str]:
    """Debian's names of the packages whose library or program is not there."""
    return [package for name, package in libraries.items() if not can_load(name)] + [
        package for name, package in programs.items() if shutil.which(name) is None
    ]


def can_load(library: str) -> bool:
    """Whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def ensure_packages(packages: list[str], why: str) -> None:
    """Installs Debian packages as root; otherwise prints the exact command and stops."""
    if shutil.which("apt-get") is None:
        stop(f"{why} are missing. Install what your system calls: {' '.join(packages)}")
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0:
        stop(f"{why} are missing. Run this, then try again:\n    sudo {' '.join(install)}")
    say(f"Installing {why}: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    check_call(["apt-get", "update", "-qq"], "reading the package lists", environment)
    check_call([*install, "-qq"], f"installing {' '.join(packages)}", environment)


def ensure_prometheus() -> Path | None:
    """The folder of `prometheus` and `promtool` from Debian's package; None: there is no apt.

    What the machine has installed is taken; else the package is downloaded and unpacked, as any
    user, once.
    """
    if (found := shutil.which("prometheus")) and shutil.which("promtool"):
        return Path(found).parent
    programs = PROMETHEUS / "usr" / "bin"
    if (programs / "promtool").exists():
        return programs
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        say("No apt here: tests on a real Prometheus are skipped")
        return None
    say("Unpacking Debian's Prometheus for the tests")
    VENV.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=VENV) as name:
        folder = Path(name)
        download = ["apt-get", "download", "-qq", "prometheus"]
        if not fetched(download, folder):
            if os.geteuid() == 0:
                check_call(["apt-get", "update", "-qq"], "reading the package lists")
            if not fetched(download, folder):
                stop(f"Prometheus cannot be downloaded: see what `{' '.join(download)}` says")
        (package,) = folder.glob("prometheus_*.deb")
        unpacked = folder / "unpacked"
        check_call(["dpkg-deb", "-x", str(package), str(unpacked)], "unpacking Prometheus")
        PROMETHEUS.parent.mkdir(exist_ok=True)
        if not PROMETHEUS.exists():
            unpacked.rename(PROMETHEUS)
    return programs


def fetched(command: list[str], folder: Path) -> bool:
    """Whether a download into a folder worked."""
    return subprocess.run(command, cwd=folder, check=False).returncode == 0


def has_display() -> bool:
    """Whether a window can open: always on macOS and Windows."""
    if sys.platform != "linux":
        return True
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return any(os.environ.get(name) for name in names)


def import_check(what: str, module: str) -> Check:
    """Whether the environment imports a module."""
    code = f"import importlib; print(importlib.import_module({module!r}).__name__)"
    result = subprocess.run(
        [str(python()), "-c", code], capture_output=True, text=True, check=False
    )
    note = (result.stdout or result.stderr).strip().splitlines()[-1:]
    return Check(what, result.returncode == 0, note[0] if note else "no output")


# ── running and saying ───────────────────────────────────────────────────────────────────────────


def call(*arguments: str) -> int:
    """Runs the environment's Python in the project folder; Ctrl+C is the child's to handle."""
    with subprocess.Popen([str(python()), *arguments], cwd=ROOT) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue


def check_call(command: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    """Runs a step of the set-up; stops with its name when it fails."""
    if code := subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
        stop(f"{what} failed with exit code {code}: see its message above")


def say(text: str) -> None:
    """Prints at once, also into a pipe."""
    print(text, flush=True)


def stop(text: str) -> NoReturn:
    """Ends with a message for people."""
    sys.exit(f"error: {text}")


if __name__ == "__main__":
    sys.exit(main())
