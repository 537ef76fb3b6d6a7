"""Frame time of the waterfall at a million synthetic spans, against a painter that draws each span.

Both paint the same views, offscreen, 1600 × 900: a scripted tour of zooms and pans. The peer does
what a plain QPainter program does: a drawRect for each span that the view touches.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from benchmarks.harness import Ratio, interleaved
from benchmarks.synthetic import spans

SPANS = 1_000_000
SIZE = (1600, 900)
OURS_VIEWS, PEER_VIEWS = 60, 2


def run() -> list[Ratio]:
    """The mean time of a frame, in milliseconds."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import QRectF  # noqa: PLC0415 - the platform is chosen first
    from PySide6.QtGui import QColor, QImage, QPainter  # noqa: PLC0415
    from PySide6.QtWidgets import QApplication  # noqa: PLC0415

    from app import theme  # noqa: PLC0415
    from app.models.waterfall import Waterfall  # noqa: PLC0415
    from app.views.cinema.palette import span_token  # noqa: PLC0415
    from app.views.cinema.viewport import Viewport  # noqa: PLC0415
    from app.views.cinema.waterfall import LANE_PX, Shown, WaterfallView  # noqa: PLC0415

    application = QApplication.instance() or QApplication([])
    table = spans(SPANS)
    layout = Waterfall(table)
    viewport = Viewport()
    view = WaterfallView(viewport, theme.load("dark"))
    view.resize(*SIZE)
    view.show_trace(Shown("0" * 31 + "1", table, layout))
    canvas = QImage(*SIZE, QImage.Format.Format_ARGB32_Premultiplied)
    tour = [(0.5 + 0.4 * ((n * 7) % 10 - 5) / 10, 1.6 ** -(n % 30)) for n in range(OURS_VIEWS)]
    colors = [QColor(theme.load("dark").color(span_token(code))) for code in range(1, 13)]

    def look(number: int) -> None:
        middle, share = tour[number]
        half = viewport.length * share / 2
        viewport.show(middle * viewport.length - half, middle * viewport.length + half)

    def plain() -> None:
        painter = QPainter(canvas)
        scale = SIZE[0] / viewport.width
        for number, lane in enumerate(layout.lanes):
            low, high = layout.visible(lane, viewport.start, viewport.end)
            for index in range(low, high):
                left = (float(layout.start[index]) - viewport.start) * scale
                width = max(float(layout.end[index] - layout.start[index]) * scale, 1.0)
                box = QRectF(left, number * LANE_PX, width, LANE_PX - 6)
                painter.fillRect(box, colors[int(layout.code[index]) - 1])
        painter.end()

    def frames(paint: Callable[[], object], count: int) -> float:
        spent = 0.0
        for number in range(count):
            look(number)
            began = time.perf_counter()
            paint()
            spent += time.perf_counter() - began
        return spent / count * 1e3

    def worst() -> float:
        times: list[float] = []
        for number in range(OURS_VIEWS):
            look(number)
            began = time.perf_counter()
            view.grab()
            times.append((time.perf_counter() - began) * 1e3)
        return max(times)

    rows = [
        interleaved(
            lambda: frames(view.grab, PEER_VIEWS),
            lambda: frames(plain, PEER_VIEWS),
            name="waterfall frame, 1 M synthetic spans, zoomed out",
            peer_name="a drawRect a span",
            unit="ms",
            rounds=3,
        ),
        interleaved(
            worst,
            lambda: 16.0,
            name="waterfall, slowest frame of a scripted tour at 1 M synthetic spans",
            peer_name="the 16 ms of a frame",
            unit="ms",
            bar="≤ 1",
        ),
    ]
    del application
    return rows
