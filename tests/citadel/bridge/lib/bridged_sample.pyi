from typing import Literal, overload

from numpy.typing import ArrayLike

@overload
def stubbed(value: ArrayLike, scale: int = 1) -> float: ...
@overload
def stubbed(value: ArrayLike, scale: int = 1, *, flag: Literal[True]) -> str: ...
