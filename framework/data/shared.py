"""The location of the project's shared real data, by the variable SEXTANT_DATA."""

import os
from pathlib import Path

_DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def shared_path(*parts: str) -> Path:
    """A path below the shared data: `$SEXTANT_DATA`, or `shared/data` next to the checkout.

    It need not exist: who reads it says what is missing.
    """
    return Path(os.environ.get("SEXTANT_DATA") or _DEFAULT).joinpath(*parts)
