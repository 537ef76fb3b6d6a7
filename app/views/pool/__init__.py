"""One pool in the Inspector: its queue by priority over time, its settings, its counts."""

from app.views.pool.panel import PoolPanel

__all__ = ["PoolPanel"]
