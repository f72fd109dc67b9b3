from __future__ import annotations

import difflib
import time

import pytest
from cody_core.errors import ToolError
from cody_core.tools.nearby import nearest
from cody_core.tools.patch import AddFile, DeleteFile, UpdateFile, parse
from cody_core.tools.patch_apply import apply
from hypothesis import example, given
from hypothesis import strategies as st

LINES = st.sampled_from(
    [
        "",
        " ",
        "a",
        "b",
        " a",
        "a ",
        "a\u2013b",
        "a-b",
        "+a",
        "-a",
        "@@ a",
        "*** End Patch",
        "\x0c",
        "\u2028",
        "*** Begin Patch",
        "*** Update File: x",
        "*** End of File",
        "\\ No newline at end of file",
    ]
)
TEXTS = st.builds(
    lambda lines, newline: "\n".join(lines) + ("\n" if newline else ""),
    st.lists(LINES, max_size=14),
    st.booleans(),
)


def wrap(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def update(text: str, *lines: str) -> str:
    (operation,) = parse(wrap("*** Update File: f", *lines))
    assert isinstance(operation, UpdateFile)
    return apply(text, operation.hunks, "f")


def refusal(text: str, *lines: str) -> str:
    with pytest.raises(ToolError) as caught:
        update(text, *lines)
    return caught.value.message


def patch_between(before: str, after: str, context: int) -> list[str]:
    """The hunks that make one text of another, as a careful model would write them."""
    a, b = ([f"{line}\n" for line in text.split("\n")] for text in (before, after))
    for lines in (a, b):
        lines[-1:] = [lines[-1][:-1]] if lines[-1] != "\n" else []
    out: list[str] = []
    for group in difflib.SequenceMatcher(None, a, b, autojunk=False).get_grouped_opcodes(context):
        out.append("@@")
        for tag, i1, i2, j1, j2 in group:
            both = [(" ", line) for line in a[i1:i2]]
            changed = [("-", line) for line in a[i1:i2]] + [("+", line) for line in b[j1:j2]]
            for sign, line in both if tag == "equal" else changed:
                out.append(sign + line.removesuffix("\n"))
                if not line.endswith("\n"):
                    out.append("\\ No newline at end of file")
    return out


@given(TEXTS, TEXTS)
@example("a", "a\n")
@example("a\nb", "a")
@example("b", "b\nb")
@example("", "a")
@example("a\n", "")
def test_a_patch_with_all_of_the_file_in_it_gives_exactly_the_other_file(
    before: str, after: str
) -> None:
    hunks = patch_between(before, after, 1_000)
    assert (update(before, *hunks) if hunks else before) == after


@given(TEXTS, TEXTS, st.integers(0, 3))
def test_a_patch_with_less_context_gives_the_other_file_or_is_refused_as_ambiguous(
    before: str, after: str, context: int
) -> None:
    hunks = patch_between(before, after, context)
    problem = ""
    result = before
    try:
        result = update(before, *hunks) if hunks else before
    except ToolError as error:
        problem = error.message
    if problem:
        assert "places, lines" in problem or "only adds lines" in problem
    else:
        assert result == after


def test_a_patch_is_read_into_operations() -> None:
    operations = parse(
        wrap(
            "*** Add File: a file.txt",
            "+one",
            "",
            "+",
            "+three",
            "",
            "*** Delete File: gone",
            "*** Update File: from",
            "*** Move to: to",
            "@@ class A",
            "@@     def f():",
            " x",
            "-y",
            "+z",
            "*** End of File",
            "",
        )
    )
    add, delete, change = operations
    assert add == AddFile(2, "a file.txt", "one\n\n\nthree\n")
    assert delete == DeleteFile(8, "gone")
    assert isinstance(change, UpdateFile)
    assert (change.path, change.move_to) == ("from", "to")
    (hunk,) = change.hunks
    assert hunk.headers == ((11, "class A"), (12, "    def f():"))
    assert [(line.number, line.sign, line.text) for line in hunk.lines] == [
        (13, " ", "x"),
        (14, "-", "y"),
        (15, "+", "z"),
    ]
    assert hunk.at_end


@pytest.mark.parametrize(
    "wrapped",
    [
        "apply_patch <<'EOF'\n{}\nEOF\n",
        "<<EOF\n{}\nEOF",
        '<<"PATCH"\n{}\nPATCH',
        "```diff\n{}\n```\n",
        "apply_patch\n{}",
        "\n\n{}\n\n",
    ],
)
def test_what_models_put_around_a_patch_is_taken_off(wrapped: str) -> None:
    patch = wrap("*** Delete File: a")
    assert parse(wrapped.format(patch)) == (DeleteFile(parse_line(wrapped), "a"),)
    assert parse(wrapped.format(patch).replace("\n", "\r\n"))


def parse_line(wrapped: str) -> int:
    return wrapped.partition("{}")[0].count("\n") + 2


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        ("", "must begin with a line '*** Begin Patch'"),
        ("*** Delete File: a", "must begin with a line '*** Begin Patch'"),
        (wrap(), "The patch is empty"),
        (wrap("", " "), "The patch is empty"),
        ("*** Begin Patch\n*** Delete File: a", "has no line '*** End Patch': was it cut off?"),
        ("cd x && rm y\n" + wrap("*** Delete File: a"), "Line 1, before '*** Begin Patch', is not"),
        (wrap("*** Delete File: a") + "\n" + wrap("*** Delete File: b"), "Line 4, after"),
        (wrap("*** Delete File: "), "Line 2 of the patch names no file"),
        (wrap("*** Rename File: a"), "Line 2 of the patch is '*** Rename File: a', where a file"),
        (wrap("*** Add File: a", "b"), "Line 3 of the patch must begin with '+'"),
        (wrap("*** Update File: a"), "Line 2 of the patch updates 'a', but no hunk follows"),
        (wrap("*** Update File: a", "@@ b"), "Line 3 of the patch begins a hunk that has no lines"),
        (wrap("*** Update File: a", "@@", "b"), "Line 4 of the patch must begin with ' ' (it"),
    ],
)
def test_what_is_no_patch_is_refused_with_its_line(patch: str, problem: str) -> None:
    with pytest.raises(ToolError) as caught:
        parse(patch)
    assert problem in caught.value.message


def test_a_marker_as_context_does_not_end_the_patch() -> None:
    assert update("*** End Patch\na\n", " *** End Patch", "-a", "+b") == "*** End Patch\nb\n"


CLASSES = """\
class A:
    def f(
        self,
    ) -> int:
        return 1

    def g(self):
        return 1


class B:
    def f(self):
        return 1
"""


def test_of_equal_places_the_one_under_its_headers_is_meant() -> None:
    headers = ["@@ class B:", "@@ def f("]
    patched = update(CLASSES, *headers, "-        return 1", "+        return 2")
    assert patched == CLASSES[:-2] + "2\n"
    patched = update(CLASSES, "@@ class A:", "@@ def f(", "-        return 1", "+        return 2")
    assert patched == CLASSES.replace("return 1", "return 2", 1)


def test_a_header_may_be_repeated_by_the_hunk_and_by_the_next_hunk() -> None:
    text = "def f():\n    a = 1\n    b = 2\n    c = 3\n"
    first = ["@@ def f():", " def f():", "-    a = 1", "+    a = 0"]
    second = ["@@ def f():", "-    c = 3", "+    c = 0"]
    assert update(text, *first, *second) == "def f():\n    a = 0\n    b = 2\n    c = 0\n"


def test_several_places_are_refused_and_named() -> None:
    change = ["-        return 1", "+        return 2"]
    assert "line 3 of the patch fits at 3 places, lines 5, 8, 13." in refusal(CLASSES, *change)
    assert "fits at 2 places, lines 5, 8." in refusal(CLASSES, "@@ class A:", *change)


def test_a_header_in_a_file_without_indentation_is_no_licence_to_guess() -> None:
    text = "[a]\nx = 1\n[b]\nx = 1\n"
    assert update(text, "@@ [b]", "-x = 1", "+x = 2") == "[a]\nx = 1\n[b]\nx = 2\n"
    assert "fits at 2 places, lines 2, 4." in refusal(text, "@@ [a]", "-x = 1", "+x = 2")


def test_a_place_after_the_previous_hunk_is_preferred() -> None:
    text = "x\na\ny\nx\n"
    assert update(text, "-a", "+b", "@@", "-x", "+z") == "x\nb\ny\nz\n"


def test_hunks_out_of_order_are_applied_where_they_fit() -> None:
    text = "a\nb\nc\nd\n"
    assert update(text, "@@", "-d", "+D", "@@", "-a", "+A") == "A\nb\nc\nD\n"
    assert "does not match" in refusal(text, "@@", "-a", "+A", "@@", "-a", "+B")


@pytest.mark.parametrize(
    ("text", "lines", "result"),
    [
        ("a  \nb\n", [" a", "-b", "+c"], "a  \nc\n"),
        ("a\t\nb\n", ["-a", "+c"], "c\nb\n"),
        ("x \u2013 “y”\u00a0z\nb\n", [' x - "y" z', "-b", "+c"], "x \u2013 “y”\u00a0z\nc\n"),
        ("a\nb\n", [" a", "-b", "+c", "", ""], "a\nc\n"),
        ("a\n\nb\n", [" a", "", "-b", "+c"], "a\n\nc\n"),
        ("a\r\nb\n", ["-a", "+c"], "c\r\nb\n"),
    ],
)
def test_blanks_and_typography_may_differ_and_stay_as_the_file_has_them(
    text: str, lines: list[str], result: str
) -> None:
    assert update(text, *lines) == result


def test_an_exact_place_is_preferred_to_one_that_is_alike() -> None:
    assert update("a \na\n", "-a", "+b") == "a \nb\n"


def test_indentation_is_never_guessed() -> None:
    assert "line 1 of the file is '  a'" in refusal("  a\n", "-a", "+b")


def test_the_end_of_the_file_decides_between_equal_places() -> None:
    assert update("a\nb\na\n", "-a", "+c", "*** End of File") == "a\nb\nc\n"
    assert update("a\nb\n", "+c", "*** End of File") == "a\nb\nc\n"
    assert update("a\nb", "+c", "*** End of File") == "a\nb\nc"
    assert "only adds lines" in refusal("a\nb\n", "+c")


def test_invented_line_numbers_are_ignored() -> None:
    assert update("a\nb\n", "@@ -10,2 +10,2 @@ def f():", " a", "-b", "+c") == "a\nc\n"


def test_a_hunk_that_does_not_match_says_which_line_and_what_is_there() -> None:
    text = "one\ntwo\nthree\nfour\nfive\n"
    assert refusal(text, " two", "-tree", "+3") == (
        "f: the hunk at line 3 of the patch does not match the file. Line 4 of the patch expects "
        "'tree', line 3 of the file is 'three'. The file has there:\n"
        "2: two\n3: three\n4: four\n5: five"
    )


def test_a_hunk_like_nothing_in_the_file_says_so() -> None:
    assert refusal("one\n", "-zzzzzz", "+3").startswith(
        "f: the hunk at line 3 of the patch does not match the file. Nothing in the file is like "
        "line 3 of the patch, 'zzzzzz'."
    )
    assert "after the file's end" in refusal("one\n", " one", "-two")


def test_a_header_that_is_not_there_says_what_is_like_it() -> None:
    assert refusal("def first():\n  a\n", "@@ def frist():", "-  a") == (
        "f: no line of the file is the '@@' of line 3, 'def frist():'. The nearest is:\n"
        "1: def first():"
    )


def test_the_nearest_place_is_the_one_with_most_of_the_lines() -> None:
    lines = ["a", "b", "x", "a", "b", "c"]
    assert nearest(lines, ["a", "b", "c", "d"]) == 3
    assert nearest(lines, [""]) is None


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (")\n" * 10_000, ["@@ )", "@@ )", "-zzz", "+y"]),
        (")\n" * 10_000, ["@@ )", "-zzz", "+y"]),
        ("a:\n  b\n" * 40_000, ["@@ a:", "-  b", "+y"]),
        (
            "".join(f"{n}\n" for n in range(24_000)) + "zzz\nzzz\n",
            [line for n in range(0, 24_000, 2) for line in ("@@", f"-{n}")] + ["@@", "-zzz"],
        ),
    ],
    ids=["headers in headers", "blocks without an end", "many places", "many hunks"],
)
def test_a_patch_that_fits_nowhere_in_a_large_file_is_refused_at_once(
    text: str, lines: list[str]
) -> None:
    began = time.thread_time()
    refusal(text, *lines)
    assert time.thread_time() - began < 4  # of seconds; once for each of the others it was minutes
