"""The skeleton as data: joints, parts and mirror pairs. The single source of truth for every joint and part index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hmlpe.errors import UserError


class Skeleton:
    """Named joints, the parts (sticks between two joints) and the pairs that swap when an image is mirrored.

    It is built from the configuration, so another skeleton (a full body, an animal) needs no code.

    Args:
        joints: names, in the order of every joint axis.
        parts: part name -> (joint name, joint name), in the order of every part axis.
        mirror: pairs of joint names that swap under a mirror.

    Raises:
        UserError: a name is repeated or unknown, or a joint is in two mirror pairs.
    """

    def __init__(
        self,
        joints: Sequence[str],
        parts: Mapping[str, Sequence[str]],
        mirror: Sequence[Sequence[str]] = (),
    ) -> None:
        self.joints = tuple(str(joint) for joint in joints)
        self.parts = {str(name): _checked_pair(name, ends) for name, ends in parts.items()}
        self.mirror = tuple(_checked_pair("mirror pair", pair) for pair in mirror)
        if len(set(self.joints)) != len(self.joints) or not self.joints:
            raise UserError(f"skeleton: joints must be named once each, got {list(self.joints)}")
        for where, names in [*self.parts.items(), *(("mirror", pair) for pair in self.mirror)]:
            self.indices(names, where=where)
        mirrored = [joint for pair in self.mirror for joint in pair]
        if len(set(mirrored)) != len(mirrored):
            raise UserError(f"skeleton: a joint is in two mirror pairs: {mirrored}")

    def indices(self, names: Iterable[str], where: str = "skeleton") -> list[int]:
        """Return the indices of the named joints. Raises UserError at an unknown name."""
        unknown = [name for name in names if name not in self.joints]
        if unknown:
            raise UserError(f"{where}: no joint {unknown[0]!r} in the skeleton; it has {', '.join(self.joints)}")
        return [self.joints.index(name) for name in names]

    @property
    def part_ends(self) -> list[tuple[int, int]]:
        """Return the joint indices of the two ends of every part."""
        return [(self.joints.index(first), self.joints.index(second)) for first, second in self.parts.values()]

    @property
    def mirror_order(self) -> list[int]:
        """Return, for every joint, the index of the joint that takes its place under a mirror."""
        swap = {a: b for pair in self.mirror for a, b in (pair, pair[::-1])}
        return [self.joints.index(swap.get(joint, joint)) for joint in self.joints]

    def as_dict(self) -> dict[str, Any]:
        """Return the constructor's arguments as dicts and lists, for manifests and checkpoints.

        Equal dicts mean equal skeletons.
        """
        return {
            "joints": list(self.joints),
            "parts": {name: list(ends) for name, ends in self.parts.items()},
            "mirror": [list(pair) for pair in self.mirror],
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Skeleton) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((self.joints, tuple(self.parts.items()), self.mirror))


def _checked_pair(name: str, ends: Sequence[str]) -> tuple[str, str]:
    """Return the two joint names in `ends`. Raises UserError, which begins with `name`, if they are not two."""
    if len(ends) != 2:
        raise UserError(f"skeleton: {name} needs two joints, got {list(ends)}")
    return str(ends[0]), str(ends[1])
