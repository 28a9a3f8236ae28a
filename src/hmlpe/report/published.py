"""Other methods' numbers, as in conf/published."""

from collections.abc import Mapping, Sequence
from typing import Any

Published = Mapping[str, Sequence[Mapping[str, Any]]]
"""By the set's name: methods with their scores."""
