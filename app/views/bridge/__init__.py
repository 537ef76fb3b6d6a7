"""The Bridge: the whole fleet at a glance, on one time axis."""

from app.views.bridge.view import BridgeView

__all__ = ["BridgeView"]
