"""What a control group grants and counts."""

from pathlib import Path

import pytest

import hmlpe.control_group as groups
import hmlpe.training.devices as devices
from hmlpe.control_group import cpu_quota, oom_kill_count


def test_kills_are_counted_in_the_own_group_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = oom_kill_count()
    assert system >= 0
    monkeypatch.setattr(groups, "_cgroup_folder", lambda: tmp_path)
    assert oom_kill_count() == system  # there are no groups
    (tmp_path / "memory.events").write_text("oom 7\noom_kill 4\noom_group_kill 0\n")
    assert oom_kill_count() == 4


def test_cores_are_those_that_the_container_grants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_cgroup_folder", lambda: tmp_path)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda pid: set(range(8)))
    assert cpu_quota() is None and devices.core_count() == 8
    for granted, quota, cores in (("max 100000", None, 8), ("250000 100000", 2.5, 2), ("50000 100000", 0.5, 1)):
        (tmp_path / "cpu.max").write_text(granted + "\n")
        assert (cpu_quota(), devices.core_count()) == (quota, cores)
