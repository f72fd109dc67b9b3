"""What is known of threads while their deployment is away."""

from __future__ import annotations

from cody_core.schema.threads import Thread
from cody_core.stores.convex_recent import Recent
from support.shapes import THREAD, response

NEW = Thread(id=THREAD, title="t", created_at=1, updated_at=1)


def test_a_run_that_is_saved_before_its_thread_is_known_to_be_there_is_kept() -> None:
    recent, run = Recent(), response()
    with recent.creating(NEW) as created:
        with recent.creating(NEW):
            pass  # who came second hears first that it was not the one
        recent.keep_run(run)
        created()
    assert (recent.thread(THREAD), recent.runs(THREAD)) == (NEW, [run])


def test_of_a_thread_that_was_there_before_not_all_runs_are_known() -> None:
    recent = Recent()
    with recent.creating(NEW):
        recent.keep_run(response())
    recent.keep_thread(NEW)
    assert recent.runs(THREAD) is None


def test_a_run_whose_first_save_had_no_answer_is_kept_with_the_second() -> None:
    recent, run = Recent(), response()
    recent.keep_thread(NEW)
    recent.keep_runs(THREAD, ())
    recent.keep_run(run, newer=False)
    assert recent.runs(THREAD) == [run]
    recent.keep_run(response(status="aborted"), newer=False)
    assert recent.runs(THREAD) == [run]
