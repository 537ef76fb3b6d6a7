"""Adapters for the tests: what a user might write, and what a user should not."""

import contextlib
import ctypes
import os
import random
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import citadel
from citadel import telemetry
from citadel.adapter import Adapter, cancelled, check_cancelled, tool
from citadel.errors import InvalidRequest

IMPORTED_BY = os.getpid()


@dataclass
class Point:
    x: int
    y: int


class Tools(Adapter):
    """Well and badly behaved tools."""

    @tool
    def noop(self) -> None:
        """Does nothing."""

    @tool
    def add(self, a: int, b: int = 0) -> int:
        """Adds two numbers."""
        return a + b

    @tool
    def point(self) -> Point:
        return Point(1, 2)

    @tool
    def modules(self) -> list[str]:
        return sorted(sys.modules)

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def imported_by(self) -> int:
        """The process that imported this module."""
        return IMPORTED_BY

    @tool
    def process(self) -> dict[str, object]:
        """What tells a forked worker from others."""
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "group": os.getpgid(0),
            "session": os.getsid(0),
            "random": random.random(),
            "imported_by": getattr(sys.modules.get("preloads"), "IMPORTED_BY", 0),
            "variables": {k: v for k, v in os.environ.items() if k.startswith("MINE")},
        }

    @tool
    def holds_the_gil(self, started: str) -> None:
        """Sits in a C function that lets nothing else of its process run."""
        Path(started).write_text(str(os.getpid()))
        ctypes.PyDLL(None).sleep(600)

    @tool
    def touch_and_wait(self, started: str, until: str) -> str:
        """Says that it runs, then waits for a file; stops when cancelled."""
        Path(started).write_text(str(os.getpid()))
        while not Path(until).exists():
            check_cancelled()
            time.sleep(0.005)
        return "done"

    @tool
    def stubborn(self, started: str) -> None:
        """Never looks whether it was cancelled."""
        Path(started).write_text(str(os.getpid()))
        while True:
            time.sleep(1)

    @tool
    def asks(self) -> bool:
        return cancelled()

    @tool
    def raises(self) -> None:
        raise RuntimeError("this tool is broken")

    @tool
    def exits(self, code: int) -> None:
        print("about to exit")
        os._exit(code)

    @tool
    def segfaults(self) -> None:
        ctypes.string_at(0)

    @tool
    def unsendable(self) -> object:
        return object()

    @tool
    def prints(self, text: str) -> None:
        print(text)

    @tool
    def spans(self) -> str:
        with telemetry.span("inner", size=3):
            telemetry.event("halfway")
        return telemetry.traceparent()


class Broken(Adapter):
    def setup(self) -> None:
        raise OSError("no licence found")

    @tool
    def noop(self) -> None: ...


class Hangs(Adapter):
    def setup(self) -> None:
        time.sleep(600)

    @tool
    def noop(self) -> None: ...


class NoTools(Adapter):
    pass


assert citadel


class Wild(Adapter):
    """What a user should not do, and what nobody wants to see."""

    @tool
    def noop(self) -> None: ...

    @tool
    def quits(self) -> None:
        sys.exit("enough")

    @tool
    def interrupts(self) -> None:
        raise KeyboardInterrupt

    @tool
    def eats_memory(self) -> None:
        bytearray(1 << 62)

    @tool
    def opens_files(self) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]
        assert not files

    @tool
    def leaves_a_child(self, code: int) -> None:
        """The child holds the worker's outputs, in a session of its own."""
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        print(f"child {child.pid}")
        os._exit(code)

    @tool
    def forks(self) -> int:
        """The child holds the worker's link too."""
        if pid := os.fork():
            return pid
        time.sleep(600)
        os._exit(0)

    @tool
    def eats(self, size: int) -> int:
        """Takes memory and keeps it."""
        self.eaten = b"x" * size
        return len(self.eaten)

    @tool
    def opens(self, files: int) -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(files):
                stack.enter_context(Path("/dev/null").open())

    @tool
    def spins(self) -> None:
        while True:
            pass

    @tool
    def cgroup(self) -> str:
        return Path("/proc/self/cgroup").read_text()

    @tool
    def closes_everything(self) -> None:
        os.closerange(3, 4096)

    @tool
    def floods(self, lines: int) -> None:
        sys.stdout.write("spam\n" * lines)
        sys.stdout.flush()

    @tool
    def writes_to_the_link(self) -> None:
        for fd in range(3, 4096):
            with contextlib.suppress(OSError):
                os.write(fd, b"\xff" * 64)

    @tool
    def says_something_misshapen(self) -> None:
        frame = b"\x92\x0c\xc0"  # [DONE, None]
        for fd in range(3, 4096):
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.fstat(fd).st_mode):
                    os.write(fd, len(frame).to_bytes(4, "big") + frame)

    @tool
    def inflates(self, size: int) -> bytes:
        return bytes(size)

    @tool
    def raises_what_cannot_be_told(self) -> None:
        class Mute(Exception):
            def __str__(self) -> str:
                raise ValueError("no words")

        raise Mute

    @tool
    def details_that_cannot_be_sent(self) -> None:
        raise InvalidRequest("no", remedy="\udcff", details={"path": "\udcff"})

    @tool
    def surrogates(self) -> None:
        raise ValueError("\ud800")

    @tool
    async def waits(self, seconds: float) -> str:
        import asyncio  # a worker loads it only when a tool needs it

        await asyncio.sleep(seconds)
        return "waited"

    @tool
    def sleeps(self, seconds: float) -> None:
        time.sleep(seconds)

    @tool
    def logs(self, path: str, text: str) -> None:
        """Leaves a trace of having run."""
        with Path(path).open("a") as file:
            file.write(f"{text}\n")

    @tool
    def logs_and_dies_at(self, path: str, text: str, last: str) -> None:
        self.logs(path, text)
        if text == last:
            os.kill(os.getpid(), signal.SIGKILL)

    @tool
    def logs_and_stops_at(self, path: str, text: str, last: str, until: str) -> None:
        self.logs(path, text)
        while text == last and not Path(until).exists():
            time.sleep(0.005)


class DiesLater(Adapter):
    """Becomes ready, then dies by itself."""

    def setup(self) -> None:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(9))
        signal.setitimer(signal.ITIMER_REAL, 0.2)

    @tool
    def noop(self) -> None: ...


class Fickle(Adapter):
    """Starts while a file is there; is well while another is."""

    def setup(self) -> None:
        if not Path(os.environ["FICKLE_STARTS"]).exists():
            raise OSError("the file is gone")

    def health(self) -> bool:
        return Path(os.environ["FICKLE_WELL"]).exists()

    @tool
    def pid(self) -> int:
        return os.getpid()
