"""Why a job ended, by what it raised or by its exit code."""

import signal
import sys

import pytest

import hmlpe.sweep.outcome as outcomes
from hmlpe.errors import UserError
from hmlpe.sweep.outcome import Outcome, outcome_of_error, outcome_of_exit


def test_an_error_is_one_line_of_its_kind() -> None:
    assert outcome_of_error(ValueError("a\n b")) == Outcome("error", "ValueError: a b")
    assert outcome_of_error(UserError("seed: no")) == Outcome("error", "seed: no")
    assert outcome_of_error(KeyError()) == Outcome("error", "KeyError: KeyError")
    assert outcome_of_error(KeyboardInterrupt()) == Outcome("interrupted")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_what_asks_for_memory(error: Exception) -> None:
    assert outcome_of_error(error).kind == "out_of_memory"


def test_an_exit_is_of_the_error_before_it() -> None:
    def error_of(code: int) -> BaseException:
        try:
            try:
                raise UserError("epochs: no")
            except UserError:
                sys.exit(code)
        except SystemExit as error:
            return error

    assert outcome_of_error(error_of(2)) == Outcome("error", "epochs: no")
    assert outcome_of_error(SystemExit(3)) == Outcome("error", "SystemExit: 3")


def test_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "oom_kill_count", lambda: 5)
    assert outcome_of_exit(3, 5) == Outcome("error", "ended with exit code 3 without a result")
    assert outcome_of_exit(-signal.SIGSEGV, 4) == Outcome("killed", "by signal 11 (SIGSEGV)")
    assert outcome_of_exit(-signal.SIGKILL, 5) == Outcome("killed", "by signal 9 (SIGKILL)")
    assert outcome_of_exit(-signal.SIGKILL, 4).kind == "out_of_memory"
    for lost in (None, 255):  # multiprocessing's code when the fork server is gone
        assert outcome_of_exit(lost, 5).kind == "killed"


def test_a_killed_rank_is_a_killed_job() -> None:
    """`outcome` knows the class by its name, as it must not load torch."""
    from hmlpe.training.launch import RankKilled

    found = outcome_of_error(RankKilled("rank 1 of 2 was killed (SIGKILL)"))
    assert (found.kind, found.message) == ("killed", "rank 1 of 2 was killed (SIGKILL)")
