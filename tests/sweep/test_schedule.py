"""Which job runs when, with tries that end as they are told."""

from collections.abc import Mapping, Sequence

import pytest

import hmlpe.sweep.schedule as schedule
from hmlpe.errors import UserError
from hmlpe.sweep.devices import Slot
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome
from hmlpe.sweep.schedule import FailurePolicy, Scheduler
from hmlpe.sweep.tries import Attempt
from hmlpe.sweep.view import ProgressView

from .fakes import job, starter

KILLED, MEMORY, ERROR = Outcome("killed"), Outcome("out_of_memory"), Outcome("error")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "TICK_S", 0.0)


def run(
    outcomes: dict[int, list[Outcome]], retries: Mapping[str, int], stop: bool = False, slots: int = 1, count: int = 3
) -> tuple[Sequence[Job], list[int]]:
    """Jobs 0, 1, ... after they ran, and in which order they began."""
    jobs, begun = [job(number) for number in range(count)], list[int]()
    start = starter(outcomes, begun)
    Scheduler(start, [Slot("cpu")] * slots, FailurePolicy(retries, stop), ProgressView(jobs, slots), lambda: None).run(
        jobs
    )
    return jobs, begun


def kinds(jobs: Sequence[Job]) -> list[str | None]:
    return [job.outcome.kind if job.outcome else None for job in jobs]


def test_a_reason_has_its_own_number_of_tries() -> None:
    jobs, begun = run({0: [KILLED, KILLED, ERROR], 1: [ERROR]}, {"killed": 2})
    assert begun == [0, 0, 0, 1, 2]  # at once
    assert kinds(jobs) == ["error", "error", "finished"]
    assert jobs[0].attempts == {"killed": 2, "error": 1}
    assert [job.value for job in jobs] == [None, None, 20.0]


def test_for_memory_the_others_go_first() -> None:
    jobs, begun = run({0: [MEMORY]}, {"out_of_memory": 1})
    assert begun == [0, 1, 2, 0]
    assert kinds(jobs) == ["finished"] * 3


def test_the_first_failure_for_good_may_stop_all() -> None:
    jobs, begun = run({0: [KILLED], 1: [ERROR]}, {"killed": 1}, stop=True)
    assert begun == [0, 0, 1]
    assert kinds(jobs) == ["finished", "error", "interrupted"]
    assert str(jobs[2].outcome) == "interrupted: not started"


def test_slots_are_shared_by_what_waits_one_job_at_a_time() -> None:
    """Whatever ends when, and is tried again: no GPU has two jobs, none idles while one waits."""
    outcomes = {0: [KILLED], 3: [MEMORY], 4: [ERROR]}
    jobs, begun, seen = [job(number) for number in range(9)], list[int](), list[list[str]]()
    gpus = [Slot(f"gpu {number}", {"CUDA_VISIBLE_DEVICES": str(number)}) for number in range(3)]
    start = starter(outcomes, begun)

    class Watching(ProgressView):
        def tick(self) -> None:
            seen.append([one.slot for one in jobs if one.number in self.at_work])

    def patient(one: Job, slot: Slot) -> Attempt:
        try_ = start(one, slot)
        steps = iter([False] * (one.number % 4) + [True])  # each takes another time
        try_.poll = lambda: next(steps)  # type: ignore[method-assign]
        return try_

    policy = FailurePolicy({"killed": 1, "out_of_memory": 1}, False)
    whole = Scheduler(patient, gpus, policy, Watching(jobs, 3), lambda: None)
    whole.run(jobs)
    assert sorted(begun) == [0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8] and begun[-1] == 3
    assert all(len(set(slots)) == len(slots) for slots in seen)
    assert {slot for slots in seen for slot in slots} == {"gpu 0", "gpu 1", "gpu 2"}
    assert sorted(slot.name for slot in whole.free) == ["gpu 0", "gpu 1", "gpu 2"]
    assert kinds(jobs).count("finished") == 8


def test_an_interruption_ends_what_runs_and_begins_nothing() -> None:
    jobs, begun = [job(number) for number in range(3)], list[int]()

    class Interrupted(ProgressView):
        def tick(self) -> None:
            if len(self.at_work) == 2:
                raise KeyboardInterrupt

    view = Interrupted(jobs, 2)
    start = starter({}, begun, endless=True)
    with pytest.raises(KeyboardInterrupt):
        Scheduler(start, [Slot("cpu")] * 2, FailurePolicy({}, False), view, lambda: None).run(jobs)
    assert begun == [0, 1] and kinds(jobs) == ["interrupted"] * 3 and not view.at_work


def test_a_job_that_is_tried_again_is_not_over() -> None:
    """Neither in the record nor in the summary."""
    jobs, seen = [job(0)], list[tuple[object, str]]()
    view = ProgressView(jobs, 1)
    changed = lambda: seen.append((jobs[0].outcome, view.summary()))  # noqa: E731
    Scheduler(starter({0: [KILLED]}, []), [Slot("cpu")], FailurePolicy({"killed": 1}, False), view, changed).run(jobs)
    assert seen == [(None, "0 of 1 finished"), (Outcome("finished"), "1 of 1 finished")]


@pytest.mark.parametrize(
    ("retries", "message"),
    [
        ({"bored": 1}, "retries: no reason 'bored'; there are error, killed"),
        ({"interrupted": 1}, "no reason 'interrupted'"),
        ({"error": -1}, r"retries.error: must be a whole number of at least 0, got -1"),
        ({"error": True}, "got True"),
    ],
)
def test_retries_that_cannot_be(retries: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        FailurePolicy(retries, False)  # type: ignore[arg-type]
