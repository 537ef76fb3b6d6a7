"""What the executors of `benchmarks.pool_life` run: it imports nothing, so neither do they."""


def noop() -> None:
    """Does nothing."""
