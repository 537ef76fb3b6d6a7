"""Typed access to the bridge of bridge.yaml.

Made by `citadel bridge generate`: change the manifest, not this file. Made for:

- numpy.linalg, 2.4.6
- sqlite3, python 3.11.7
- statistics, python 3.11.7
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike, NDArray

from citadel.bridge.client import UNSET, Reference, Remote
from citadel.client.client import Client
from citadel.client.commands import CommandOptions

_OPTIONS = CommandOptions()


class Connection(Reference):
    """SQLite database connection object.

    sqlite3.Connection: a reference
    """

    async def execute(
        self,
        sql: Any,
        parameters: Any = UNSET,
        /,
    ) -> Any:
        """Executes an SQL statement.

        sqlite3.Connection.execute [docstring]
        """
        return await self._remote.call(
            "sqlite3.Connection.execute",
            {
                "self": self,
                "sql": sql,
                "parameters": parameters,
            },
        )

    async def executemany(
        self,
        sql: Any,
        parameters: Any,
        /,
    ) -> Any:
        """Repeatedly executes an SQL statement.

        sqlite3.Connection.executemany [signature]
        """
        return await self._remote.call(
            "sqlite3.Connection.executemany",
            {
                "self": self,
                "sql": sql,
                "parameters": parameters,
            },
        )

    async def commit(self) -> Any:
        """Commit any pending transaction to the database.

        sqlite3.Connection.commit [signature]
        """
        return await self._remote.call(
            "sqlite3.Connection.commit",
            {
                "self": self,
            },
        )

    async def close(self) -> Any:
        """Close the database connection.

        sqlite3.Connection.close [signature]
        """
        return await self._remote.call(
            "sqlite3.Connection.close",
            {
                "self": self,
            },
        )


class Cursor(Reference):
    """SQLite database cursor class.

    sqlite3.Cursor: a reference
    """

    async def fetchone(self) -> Any:
        """Fetches one row from the resultset.

        sqlite3.Cursor.fetchone [signature]
        """
        return await self._remote.call(
            "sqlite3.Cursor.fetchone",
            {
                "self": self,
            },
        )

    async def fetchall(self) -> Any:
        """Fetches all rows from the resultset.

        sqlite3.Cursor.fetchall [signature]
        """
        return await self._remote.call(
            "sqlite3.Cursor.fetchall",
            {
                "self": self,
            },
        )

    async def rowcount(self) -> Any:
        """sqlite3.Cursor.rowcount [signature]."""
        return await self._remote.call(
            "sqlite3.Cursor.rowcount",
            {
                "self": self,
            },
        )


class NormalDist(Reference):
    """Normal distribution of a random variable.

    statistics.NormalDist: a reference
    """

    async def cdf(
        self,
        x: Any,
    ) -> Any:
        """Cumulative distribution function. P(X <= x).

        statistics.NormalDist.cdf [signature]
        """
        return await self._remote.call(
            "statistics.NormalDist.cdf",
            {
                "self": self,
                "x": x,
            },
        )

    async def inv_cdf(
        self,
        p: Any,
    ) -> Any:
        """Inverse cumulative distribution function. x : P(X <= x) = p.

        statistics.NormalDist.inv_cdf [signature]
        """
        return await self._remote.call(
            "statistics.NormalDist.inv_cdf",
            {
                "self": self,
                "p": p,
            },
        )

    async def from_samples(
        self,
        data: Any,
    ) -> Any:
        """Make a normal distribution instance from sample data.

        statistics.NormalDist.from_samples [signature]
        """
        return await self._remote.call(
            "statistics.NormalDist.from_samples",
            {
                "data": data,
            },
        )

    async def overlap(
        self,
        other: Any,
    ) -> Any:
        """Compute the overlapping coefficient (OVL) between two normal distributions.

        statistics.NormalDist.overlap [signature]
        """
        return await self._remote.call(
            "statistics.NormalDist.overlap",
            {
                "self": self,
                "other": other,
            },
        )

    async def mean(self) -> Any:
        """Arithmetic mean of the normal distribution.

        statistics.NormalDist.mean [signature]
        """
        return await self._remote.call(
            "statistics.NormalDist.mean",
            {
                "self": self,
            },
        )

    async def stdev(self) -> Any:
        """Standard deviation of the normal distribution.

        statistics.NormalDist.stdev [signature]
        """
        return await self._remote.call(
            "statistics.NormalDist.stdev",
            {
                "self": self,
            },
        )


class StatisticsLibrary:
    """Tools below statistics."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def mean(
        self,
        data: Any,
    ) -> Any:
        """Return the sample arithmetic mean of data.

        statistics.mean [signature]
        """
        return await self._remote.call(
            "statistics.mean",
            {
                "data": data,
            },
        )

    async def median(
        self,
        data: Any,
    ) -> Any:
        """Return the median (middle value) of numeric data.

        statistics.median [signature]
        """
        return await self._remote.call(
            "statistics.median",
            {
                "data": data,
            },
        )

    async def linear_regression(
        self,
        x: Any,
        y: Any,
        /,
        *,
        proportional: Any = False,
    ) -> Any:
        """Slope and intercept for simple linear regression.

        statistics.linear_regression [signature]
        """
        return await self._remote.call(
            "statistics.linear_regression",
            {
                "x": x,
                "y": y,
                "proportional": proportional,
            },
        )

    async def new_normal_dist(
        self,
        mu: Any = 0.0,
        sigma: Any = 1.0,
    ) -> NormalDist:
        """Normal distribution of a random variable.

        statistics.NormalDist [signature]
        """
        return await self._remote.call(
            "statistics.NormalDist",
            {
                "mu": mu,
                "sigma": sigma,
            },
        )


class LinalgLibrary:
    """Tools below linalg."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def solve(
        self,
        a: ArrayLike,
        b: ArrayLike,
    ) -> NDArray[Any]:
        """Solve a linear matrix equation, or system of linear scalar equations.

        numpy.linalg.solve [stub]
        """
        return await self._remote.call(
            "linalg.solve",
            {
                "a": a,
                "b": b,
            },
        )

    async def norm(
        self,
        x: ArrayLike,
        ord: float | Literal["fro", "nuc"] | None = None,
        axis: float | Sequence[int] | None = None,
        keepdims: bool = False,
    ) -> Any:
        """Matrix or vector norm.

        numpy.linalg.norm [stub]
        """
        return await self._remote.call(
            "linalg.norm",
            {
                "x": x,
                "ord": ord,
                "axis": axis,
                "keepdims": keepdims,
            },
        )

    async def svd(
        self,
        a: ArrayLike,
        full_matrices: bool = True,
        compute_uv: Literal[True, False] = True,
        hermitian: bool = False,
    ) -> Any:
        """Singular Value Decomposition.

        numpy.linalg.svd [stub]
        """
        return await self._remote.call(
            "linalg.svd",
            {
                "a": a,
                "full_matrices": full_matrices,
                "compute_uv": compute_uv,
                "hermitian": hermitian,
            },
        )

    async def det(
        self,
        a: ArrayLike,
    ) -> Any:
        """Compute the determinant of an array.

        numpy.linalg.det [stub]
        """
        return await self._remote.call(
            "linalg.det",
            {
                "a": a,
            },
        )


class Sqlite3Library:
    """Tools below sqlite3."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def connect(
        self,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Opens a database; ":memory:" lives as long as its reference.

        sqlite3.connect [opaque]
        """
        return await self._remote.call(
            "sqlite3.connect",
            {
                "args": args or UNSET,
                "kwargs": kwargs or UNSET,
            },
        )


class MathsSdk(Remote):
    """One session of the bridge; objects live until it ends."""

    def __init__(
        self,
        client: Client,
        pool: str,
        options: CommandOptions = _OPTIONS,
    ) -> None:
        super().__init__(
            client,
            pool,
            options,
            classes=_CLASSES,
        )
        self.statistics = StatisticsLibrary(self)
        self.linalg = LinalgLibrary(self)
        self.sqlite3 = Sqlite3Library(self)


_CLASSES: dict[str, type[Reference]] = {
    "sqlite3.Connection": Connection,
    "sqlite3.Cursor": Cursor,
    "statistics.NormalDist": NormalDist,
}
