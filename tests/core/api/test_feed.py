"""Who is told of a run by whom: never a gap, never the same twice, nobody waits for anybody."""

from __future__ import annotations

from cody_core.api.feed import Batch, Feed, Feeds, Key
from cody_core.schema.events import Entry, ItemDelta
from support.shapes import events


def batch(*numbers: int) -> Batch:
    """Return events at the offsets with these numbers."""
    made = events(*[ItemDelta(item_id="a", delta_content="x")] * len(numbers))
    return Batch([Entry(f"1-{n}", event=event) for n, event in zip(numbers, made, strict=True)])


class Listening:
    """Notes what it is told; it takes nothing while it is slow."""

    def __init__(self, key: Key = (0, 0)) -> None:
        self.key = key
        self.told: list[str] = []
        self.is_slow = False
        self.reads = 0

    def take(self, batch: Batch) -> bool:
        if self.is_slow:
            return False
        if (rest := batch.after(self.key)) is not None:
            self.told += [entry.offset for entry in rest.entries]
            self.key = rest.last
        return True

    def read_on(self) -> None:
        self.reads += 1


def test_who_comes_first_reads_for_those_who_are_as_far() -> None:
    feed = Feed()
    reader, other, late = Listening((1, 3)), Listening((1, 3)), Listening((1, 2))
    assert not feed.reads_for(reader)
    assert feed.reads_for(other)
    assert not feed.reads_for(late)
    feed.tell(other, batch(4))  # nobody but the one who reads tells
    feed.tell(reader, batch(4, 5))
    assert (reader.told, other.told, late.told) == ([], ["1-4", "1-5"], [])


def test_who_is_further_than_the_reader_is_told_what_it_does_not_know() -> None:
    feed = Feed()
    reader, ahead = Listening((1, 3)), Listening((1, 5))
    assert not feed.reads_for(reader)
    assert feed.reads_for(ahead)
    feed.tell(reader, batch(4))
    feed.tell(reader, batch(5, 6))
    assert ahead.told == ["1-6"]


def test_who_is_slow_reads_for_itself_and_the_others_are_told() -> None:
    feed = Feed()
    reader, slow, other = Listening(), Listening(), Listening()
    assert [feed.reads_for(each) for each in (reader, slow, other)] == [False, True, True]
    slow.is_slow = True
    feed.tell(reader, batch(1))
    feed.tell(reader, batch(2))
    assert (slow.told, slow.reads, other.told, other.reads) == ([], 1, ["1-1", "1-2"], 0)


def test_when_the_reader_leaves_all_read_on_and_one_of_them_reads_for_all() -> None:
    feed = Feed()
    reader, one, two = Listening(), Listening(), Listening()
    assert [feed.reads_for(each) for each in (reader, one, two)] == [False, True, True]
    feed.tell(reader, batch(1))
    feed.leave(reader)
    assert (one.reads, two.reads) == (1, 1)
    assert [feed.reads_for(each) for each in (two, one)] == [False, True]
    feed.tell(two, batch(2))
    assert one.told == ["1-1", "1-2"]


def test_who_leaves_is_told_no_more_and_the_others_notice_nothing() -> None:
    feed = Feed()
    reader, one, two = Listening(), Listening(), Listening()
    assert [feed.reads_for(each) for each in (reader, one, two)] == [False, True, True]
    feed.leave(one)
    feed.tell(reader, batch(1))
    assert (one.told, one.reads, two.told, two.reads) == ([], 0, ["1-1"], 0)


def test_a_run_has_one_feed_as_long_as_somebody_holds_it() -> None:
    feeds = Feeds()
    feed = feeds.of("a")
    reader = Listening()
    assert not feed.reads_for(reader)
    assert feeds.of("a") is feed
    assert feeds.of("b") is not feed
    del feed
    assert not feeds.of("a").reads_for(Listening())  # another: nobody reads there
