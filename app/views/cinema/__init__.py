"""Cinema: traces, span by span."""

from app.views.cinema.view import CinemaView

__all__ = ["CinemaView"]
