"""The committed reference of metrics and events is what the catalogue makes."""

from engine.telemetry.catalogue import docs


def test_the_reference_is_fresh() -> None:
    assert docs.PAGE.read_text(encoding="utf-8") == docs.page(), "run `poe catalogue`"
