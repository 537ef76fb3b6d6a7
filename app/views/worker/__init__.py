"""One worker in the Inspector: its life, memory and CPU over time, and what it printed."""

from app.views.worker.panel import WorkerPanel

__all__ = ["WorkerPanel"]
