"""How many: numbers of steps, images and workers, checked before a compiler sees them."""

import numbers


def check(where: str = "", /, **counts: int) -> None:
    """Raises ValueError unless every count is a whole number of at least 1; `where` goes before the count's name.

    Example:
      >>> from framework.core import counts
      >>> counts.check(steps=3, batch=np.int64(8))
    """
    for name, count in counts.items():
        if not isinstance(count, numbers.Integral) or count < 1:
            raise ValueError(f"{where}{name} must be a whole number of at least 1, got {count!r}")
