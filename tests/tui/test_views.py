from __future__ import annotations

import io

import pytest
from cody_core.ids import new_id
from cody_core.schema.events import Entry, EventFactory, ResponseDone, TraceContext
from cody_core.schema.items import ErrorItem, Message
from cody_core.schema.response import ErrorInfo, Response
from cody_core.schema.threads import Thread, ThreadDetail

from cody_tui.endings import NOTES
from cody_tui.views import Activity, PlainText, TextView, WholeView, write_thread

RUN = new_id()


def failed_run() -> Response:
    broken = ErrorItem(
        id="m1", code="cut", message="cut", partial=Message(id="m1", content="as far as it came")
    )
    return Response(
        id=RUN,
        turn_id=new_id(),
        thread_id=new_id(),
        model_id="m",
        provider_id="p",
        created_at=1,
        updated_at=2,
        status="error",
        input_items=(Message(id="u1", origin="user", content="hi"),),
        output_items=(broken,),
        error=ErrorInfo(code="cut", message="the stream broke"),
    )


def test_a_message_that_failed_is_shown_as_far_as_it_came() -> None:
    out, run = io.StringIO(), failed_run()
    WholeView(PlainText(out), Activity(io.StringIO(), colour=False)).close(run)
    assert out.getvalue() == "as far as it came\n"
    thread = Thread(id=run.thread_id, title="hi", created_at=1, updated_at=2)
    shown = io.StringIO()
    write_thread(ThreadDetail(thread=thread, runs=(run,)), shown)
    assert shown.getvalue() == "hi\n\n> hi\n\nas far as it came\n! the stream broke\n"


@pytest.mark.parametrize("kind", [TextView, WholeView])
def test_an_answer_that_was_cut_off_says_so_to_the_quiet_too(
    kind: type[TextView | WholeView],
) -> None:
    errors = io.StringIO()
    view = kind(PlainText(io.StringIO()), Activity(errors, colour=False, quiet=True))
    done = ResponseDone(response_id=RUN, status="complete", finish_reason="length")
    event = EventFactory(RUN, TraceContext(traceparent="00-0-0-01"))(done)
    view.show(Entry("1-0", event=event))
    run = failed_run().model_copy(update={"finish_reason": "length", "output_items": ()})
    view.close(run)
    assert errors.getvalue() == f"! {NOTES['length']}\n"
