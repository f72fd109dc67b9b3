from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from cody_core.errors import RunClosed
from cody_core.tools.sandbox import ScriptCall, ScriptResult
from cody_core.tools.sandbox.host import ProcessSandbox
from cody_core.tools.sandbox.limits import Limits
from support.sandbox import children, open_bench


@pytest.fixture
def cache(engine: Path) -> Path:
    return engine


async def test_a_script_calls_tools_and_returns_a_value(cache: Path) -> None:
    code = """
        const found = [];
        for (const n of [1, 2]) found.push((await tools.echo({ n })).n * 10);
        console.log("found", found);
        return { found, at: context.place };
    """
    async with open_bench(cache) as bench:
        result = await bench.run(code, context={"place": {"x": "ü"}})
        assert bench.lines == ["found [10,20]"]
    assert json.loads(result.result) == {"found": [10, 20], "at": {"x": "ü"}}
    assert result == ScriptResult(
        success=True,
        result=result.result,
        logs=("found [10,20]",),
        calls=(ScriptCall("echo", ok=True), ScriptCall("echo", ok=True)),
    )


async def test_the_result_is_what_is_returned_or_the_last_value(cache: Path) -> None:
    values = {
        "1 + 1": 2,
        "return 5": 5,
        "if (true) return await tools.echo({a: 1})": {"a": 1},
        "tools.echo({b: 2})": {"b": 2},
        "const x = 3; x // so": 3,
        "const x = 3": None,
        "": None,
        "undefined": None,
        "({a: undefined, b: [undefined, NaN], d: new Date(0)})": {
            "b": [None, None],
            "d": "1970-01-01T00:00:00.000Z",
        },
        "const tools = 1, sleep = 2; [tools, sleep]": [1, 2],
        "'\\ud800' + '\\0'": "\ud800\0",
    }
    async with open_bench(cache) as bench:
        assert {code: await bench.value(code) for code in values} == values


async def test_typescript_is_run_and_its_errors_have_the_lines_of_its_source(cache: Path) -> None:
    code = """interface Found { path: string; line: number }
type Many = Found[];

// what follows is printed anew, without this
const many: Many = [{ path: "a", line: 1 } as Found];
enum Kind { A, B }

function first(all: Many,
               kind: Kind): Found {
  const none: Found | null = null;
  throw new TypeError(`none: ${none}`);
}
return first(many, Kind.B);
"""
    async with open_bench(cache) as bench:
        assert await bench.value(
            "const a: number[] = [1];\nreturn a.map((x: number) => x + 1)"
        ) == [2]
        assert await bench.value("const m = JSON.parse<number>('3');\nm") == 3
        result = await bench.run(code)
    assert (result.error_code, result.line) == ("script_error", 11)
    assert result.error == (
        "TypeError: none: null (line 11)\n    at first, line 11\n    at the script, line 13"
    )


async def test_an_error_says_what_and_where(cache: Path) -> None:
    expected: list[tuple[str, str, int | None, str]] = [
        ("\n\nnothing.here", "script_error", 3, "ReferenceError: nothing is not defined (line 3)"),
        ("\nreturn (\n", "syntax_error", 3, "SyntaxError"),
        ("let a = 1;\nlet b: = 2", "syntax_error", 2, "as TypeScript: "),
        ("\nawait tools.fail({})", "tool_error", 2, "ToolError: no such file: 'x' (line 2)"),
        ("\nawait tools.gone({})", "unknown_tool", 2, 'no tool named "gone"; there are: echo, '),
        ("tools.echo('x')", "script_error", 1, "tools.echo takes one object"),
        ("throw 'so'", "script_error", None, "Uncaught: so"),
        ("throw null", "script_error", None, "Uncaught: null"),
        ("await new Promise(() => {})", "stalled", None, "nothing can settle"),
        ("import fs from 'fs'", "syntax_error", 1, "SyntaxError"),
        ("await import('fs')", "script_error", None, "'fs'"),
    ]
    async with open_bench(cache) as bench:
        for code, error_code, line, says in expected:
            result = await bench.run(code)
            assert (result.error_code, result.line) == (error_code, line), code
            assert says in (result.error or "")


async def test_a_failed_script_reports_its_logs_and_calls(cache: Path) -> None:
    code = """console.warn("one", {a: [1n, () => 1, null]}, Symbol("s"), new TypeError("bad"));
try { await tools.fail({}) } catch (error) { console.info(error.name, error.message) }
await tools.echo({});
console.log();
boom()"""
    async with open_bench(cache) as bench:
        result = await bench.run(code)
    assert result.logs == (
        '[warn] one {"a":["1n","[function]",null]} Symbol(s) TypeError: bad',
        "ToolError no such file: 'x'",
        "",
    )
    assert result.calls == (ScriptCall("fail", ok=False), ScriptCall("echo", ok=True))
    assert (result.success, result.line) == (False, 5)


async def test_five_calls_run_at_once_and_more_wait(cache: Path) -> None:
    code = "(await Promise.all(Array.from({length: 9}, (_, n) => tools.hold({n})))).length"
    async with open_bench(cache) as bench, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.run(code))
        while bench.holding < 5:
            await asyncio.sleep(0.001)
        bench.release.set()
        result = await running
        assert (result.result, bench.most_holding, len(bench.made)) == ("9", 5, 9)


async def test_a_call_too_many_is_refused_where_it_was_made(cache: Path) -> None:
    async with open_bench(cache, Limits(calls=3)) as bench:
        result = await bench.run("for (let i = 0; i < 9; i++)\n  await tools.echo({i})")
        assert len(bench.made) == 3
    assert (result.error_code, result.line) == ("too_many_tool_calls", 2)
    assert "3 times" in (result.error or "")


async def test_waiting_for_a_tool_does_not_count_but_sleeping_does(cache: Path) -> None:
    async with open_bench(cache, Limits(seconds=0.4)) as bench, asyncio.TaskGroup() as tasks:
        await bench.value("1")
        waiting = tasks.create_task(bench.run("await tools.hold({}); return 'late'"))
        await bench.held.wait()
        slept = await bench.run("await sleep(60000)")
        assert (slept.error_code, waiting.done()) == ("timeout", False)
        bench.release.set()
        assert (await waiting).result == '"late"'


async def test_computing_counts_while_a_tool_is_waited_for(cache: Path) -> None:
    async with open_bench(cache, Limits(seconds=0.4)) as bench:
        result = await bench.run("tools.hold({}); await sleep(1); for (;;);")
        assert bench.cancelled == 1
    assert (result.error_code, result.calls) == ("timeout", (ScriptCall("hold", ok=False),))


async def test_sleeping_counts_while_a_tool_is_waited_for(cache: Path) -> None:
    async with open_bench(cache, Limits(seconds=0.4)) as bench, asyncio.timeout(10):
        result = await bench.run("tools.hold({}); for (;;) await sleep(50)")
        assert bench.cancelled == 1
    assert (result.error_code, result.calls) == ("timeout", (ScriptCall("hold", ok=False),))


async def test_a_script_that_ends_has_its_calls_finished_and_runs_no_more(cache: Path) -> None:
    code = "tools.hold({}).then(() => tools.echo({})); 'ended'"
    async with open_bench(cache) as bench, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.run(code))
        await bench.held.wait()
        bench.release.set()
        result = await running
        assert (result.result, result.calls) == ('"ended"', (ScriptCall("hold", ok=True),))
        assert await bench.value("2") == 2


async def test_a_script_that_fails_has_its_calls_cancelled(cache: Path) -> None:
    async with open_bench(cache) as bench:
        result = await bench.run("await Promise.all([tools.hold({}), tools.fail({})])")
        assert (result.error_code, bench.cancelled) == ("tool_error", 1)


async def test_two_scripts_run_at_the_same_time(cache: Path) -> None:
    async with open_bench(cache) as bench, asyncio.TaskGroup() as tasks:
        held = tasks.create_task(bench.run("await tools.hold({}); 'held'"))
        await bench.held.wait()
        assert await bench.value("'free'") == "free"
        bench.release.set()
        assert (await held).result == '"held"'


@pytest.mark.parametrize(
    "code", ["console.log(1); for (;;);", "console.log(1); await tools.hold({})"]
)
async def test_a_cancelled_script_stops_within_a_tenth_of_a_second(cache: Path, code: str) -> None:
    async with open_bench(cache) as bench:
        for _ in range(5):  # others may have the processor for a tenth of a second
            async with asyncio.TaskGroup() as tasks:
                bench.logged.clear()
                running = tasks.create_task(bench.run(code))
                await bench.logged.wait()
                begun = time.perf_counter()
                running.cancel()
                await asyncio.wait([running])
                spent = time.perf_counter() - begun
            assert running.cancelled()
            assert await bench.value("'well'") == "well"
            if spent < 0.1:
                return
    pytest.fail("it took longer each time")


async def test_what_a_call_raises_that_is_no_tool_error_ends_the_script(cache: Path) -> None:
    async def call(name: str, arguments: str) -> str:
        raise RunClosed("it is over")

    async def log(line: str) -> None:
        raise AssertionError(line)

    async with ProcessSandbox(cache) as sandbox:
        with pytest.raises(RunClosed, match="it is over"):
            await sandbox.run("tools.a()", tools=["a"], call=call, context={}, log=log)


async def test_the_loop_goes_on_while_a_script_computes(cache: Path) -> None:
    async with open_bench(cache, Limits(seconds=0.5)) as bench, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.run("console.log(1); for (;;);"))
        await bench.logged.wait()
        longest, last = 0.0, time.perf_counter()
        while not running.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        assert longest < 0.2
        assert (await running).error_code == "timeout"


async def test_sizes_are_limited_each_with_its_own_code(cache: Path) -> None:
    limits = Limits(source_bytes=200, result_bytes=100, argument_chars=100, log_bytes=50)
    async with open_bench(cache, limits) as bench:
        assert (await bench.run("1;" + " " * 200)).error_code == "source_too_large"
        assert (await bench.run("'x'.repeat(99)")).error_code == "result_too_large"
        long = await bench.run("await tools.echo({x: 'x'.repeat(99)})")
        assert (long.error_code, long.calls) == ("arguments_too_large", ())
        logged = await bench.run("for (let i = 0; i < 99; i++) console.log('123456789')")
    assert (logged.success, logged.logs, logged.logs_cut) == (True, ("123456789",) * 5, True)


async def test_a_child_that_dies_is_reported_and_replaced(cache: Path) -> None:
    async with open_bench(cache) as bench, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.run("console.log(1); await tools.hold({})"))
        await bench.held.wait()
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        result = await running
        assert (result.error_code, result.logs) == ("sandbox_failed", ("1",))
        assert await bench.value("1") == 1


async def test_a_sandbox_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with open_bench(tmp_path / "file" / "cache") as bench:
        result = await bench.run("1")
    assert result.error_code == "sandbox_failed"
    assert "NotADirectoryError" in (result.error or "")


async def test_a_child_dies_with_its_parent_even_in_a_loop(cache: Path) -> None:
    code = f"""
import asyncio, os, pathlib, sys
sys.path[:] = {sys.path!r}
from cody_core.tools.sandbox.host import ProcessSandbox
async def log(line):
    children = pathlib.Path("/proc/self/task").glob("*/children")
    print(*[file.read_text() for file in children], flush=True)
    os._exit(0)
async def main():
    async with ProcessSandbox(pathlib.Path({str(cache)!r})) as sandbox:
        await sandbox.run(
            "console.log(1); for (;;);", tools=[], call=None, context={{}}, log=log
        )
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    (pid,) = out.split()
    while _is_alive(int(pid)):
        await asyncio.sleep(0.01)


async def test_the_parent_never_loads_the_engine(cache: Path) -> None:
    async with open_bench(cache) as bench:
        assert await bench.value("1") == 1
    assert not {"wasmtime", "quickjs_rs"} & set(sys.modules)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
