"""Scripts that mean harm: what they reach, what they may use up, and what they leave behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from cody_core.tools.sandbox.limits import MEGABYTE, Limits
from support.sandbox import children, open_bench

LIMITS = Limits(seconds=0.2)


@pytest.fixture
def cache(engine: Path) -> Path:
    return engine


async def test_no_way_leads_to_code_from_text_or_to_the_world_outside(cache: Path) -> None:
    code = """
        const gone = ["eval", "Function", "WebAssembly", "Atomics", "SharedArrayBuffer", "require",
          "process", "fetch", "XMLHttpRequest", "Deno", "std", "os", "bjson", "$host", "host"];
        const functions = [() => 1, async () => 1, function* () {}, async function* () {},
          class {}, Math.max, tools.echo, sleep, console.log, (() => 1).bind(null),
          new Proxy(() => 1, {}), Object.getOwnPropertyDescriptor(Map.prototype, "size").get];
        const made = [];
        for (const each of functions) {
          for (let at = each; at; at = Object.getPrototypeOf(at)) {
            const own = Object.getOwnPropertyDescriptor(at, "constructor");
            if (own?.value && own.value !== Object) made.push(String(own.value));
          }
        }
        let caught = "";
        for (const way of [
          () => (0, eval)("1"), () => Function("return 1")(),
          () => ({}).constructor.constructor("1"), () => tools.echo.constructor("1"),
          () => Reflect.construct((() => 1).constructor, ["1"]),
          () => { class Late extends (() => 1).constructor {}; return new Late("return 1")(); },
        ]) try { way(); caught += "no" } catch (error) { caught += error.name[0] }
        return {left: gone.filter((name) => name in globalThis), made, caught};
    """
    async with open_bench(cache) as bench:
        found = await bench.value(code)
    assert found == {"left": [], "made": [], "caught": "RRTTTT"}


async def test_stack_traces_hand_out_no_function_of_the_prelude(cache: Path) -> None:
    code = """
        let sites = [];
        Error.prepareStackTrace = (error, found) => { sites.push(...found); return "" };
        Object.defineProperty(Error, "prepareStackTrace", {value: (e, found) => { sites.push(1) }});
        Error.stackTraceLimit = 100;
        try { console.log({toJSON() { throw new Error("x") }}) } catch (e) { e.stack }
        try { tools.echo(1) } catch (e) { e.stack }
        try { tools.echo({get x() { return new Error("y").stack }}) } catch (e) { e.stack }
        return sites.length;
    """
    async with open_bench(cache) as bench:
        assert await bench.value(code) == 0


async def test_nothing_leaks_from_one_script_to_the_next(cache: Path) -> None:
    spoil = """
        Object.prototype.polluted = 1; Array.prototype.map = () => "spoiled";
        JSON.stringify = JSON.parse = () => "spoiled"; globalThis.left = 1; Promise = undefined;
        Object.prototype.toJSON = () => "spoiled"; String.prototype.trim = null;
    """
    look = "[({}).polluted, [1].map(String), typeof left, JSON.stringify({a: 1}), ' x'.trim()]"
    async with open_bench(cache) as bench:
        assert (await bench.run(spoil)).success
        assert await bench.value(look) == [None, ["1"], "undefined", '{"a":1}', "x"]


async def test_a_script_that_spoils_its_own_world_still_speaks_for_itself_only(cache: Path) -> None:
    code = """
        const names = Object.getOwnPropertyNames;
        const refuse = () => { throw new Error("spoiled") };
        for (const of of [Object, Array, Map, WeakMap, String, Reflect, JSON,
                          Error, Number, Symbol.prototype.constructor, Math]) {
          for (const at of [of, of.prototype]) {
            if (!at || at === Object.prototype) continue;
            for (const name of names(at)) {
              try { at[name] = refuse } catch {}
            }
          }
        }
        Object.prototype.toJSON = undefined;
        for (const name of ["JSON", "Promise", "Object", "Reflect", "Error"]) globalThis[name] = 0;
        const got = await tools.echo({ok: 1});
        console.log(got.ok);
        try { await tools.fail({}) } catch (error) { return [got.ok, error.message] }
    """
    async with open_bench(cache) as bench:
        result = await bench.run(code)
    assert (result.error, result.result) == (None, "[1,\"no such file: 'x'\"]")
    assert result.logs == ("1",)
    assert [call.ok for call in result.calls] == [True, False]


@pytest.mark.parametrize(
    "code",
    [
        "Object.prototype.then = function (go) { go(1) }; return await tools.echo({})",
        "Object.defineProperty(Object.prototype, 'value', {get() { throw 1 }, set() {}}); return 3",
    ],
)
async def test_a_script_that_spoils_what_all_objects_have_fails_and_the_next_does_not(
    cache: Path, code: str
) -> None:
    async with open_bench(cache) as bench:
        result = await bench.run(code)
        assert result.error_code == "script_error", result
        assert "its own world" in (result.error or "")
        assert await bench.value("1 + 1") == 2


async def test_tools_console_and_context_cannot_be_changed(cache: Path) -> None:
    code = """
        let caught = 0;
        for (const change of [
          () => { tools.echo = 1 }, () => { tools.more = 1 }, () => { delete tools.echo },
          () => { console.log = 1 }, () => { context.a.b = 1 }, () => { context.c = 1 },
          () => { tools.echo.x = 1 }, () => Object.setPrototypeOf(tools, {x: 1}),
          () => Object.defineProperty(tools, "x", {value: 1}), () => { tools = 1 },
        ]) try { change() } catch { caught++ }
        return [caught, context, Object.keys(tools), await tools];
    """
    async with open_bench(cache) as bench:
        result = await bench.run(code, context={"a": {"b": 0}}, tools=["echo"])
    assert result.error_code == "result_not_serializable"
    async with open_bench(cache) as bench:
        found = await bench.value(code.replace("context, ", "").replace(", await tools", ""))
    assert found == [10, ["echo", "fail", "hold"]]


async def test_memory_is_limited(cache: Path) -> None:
    codes = [
        "new Array(1e9).fill(0)",
        "const all = []; for (;;) all.push({a: 1})",
        "const all = []; for (;;) all.push(new ArrayBuffer(1e7))",
        "'x'.repeat(5e8)",
        "const all = []; for (;;) all.push('x'.repeat(1e6) + all.length).toString()",
        "new Uint8Array(2e9)",
        "const all = []; for (let i = 0; i < 1e7; i++) all.push(Promise.resolve().then(() => i))",
    ]
    async with open_bench(cache, Limits(seconds=5, memory_bytes=16 * MEGABYTE)) as bench:
        for code in codes:
            result = await bench.run(code)
            assert (result.error_code, result.success) == ("memory_limit", False), code


async def test_catching_the_end_of_memory_wins_no_more_of_it(cache: Path) -> None:
    code = """
        const all = []; let caught = 0;
        while (caught < 20) try { for (;;) all.push(new Array(1000).fill(1)) } catch { caught++ }
        all.length * 8000;
    """
    async with open_bench(cache, Limits(seconds=5, memory_bytes=16 * MEGABYTE)) as bench:
        result = await bench.run(code)
        assert result.error_code == "memory_limit" or int(result.result) < 32 * MEGABYTE
        assert await bench.value("'well'") == "well"


async def test_the_stack_is_limited(cache: Path) -> None:
    codes = [
        "function f() { return f() + 1 } f()",
        "let n = 0; const f = () => { try { f() } catch { f() } }; f()",
        "let all = []; for (let i = 0; i < 1e5; i++) all = [all]; JSON.stringify(all)",
        "JSON.parse('['.repeat(1e5))",
        "const p = new Proxy({}, {get: (t, key, self) => self[key]}); p.x",
        "let all = []; for (let i = 0; i < 1e5; i++) all = [all]; all",
        "(" * 15_000,
    ]
    async with open_bench(cache) as bench:
        for code in codes:
            assert (await bench.run(code)).error_code == "stack_overflow", code


async def test_time_is_limited_whatever_it_is_spent_on(cache: Path) -> None:
    codes = [
        "for (;;);",
        "for (;;) await 1",
        "const again = () => Promise.resolve().then(again); await again()",
        "for (;;) try { await tools.fail({}) } catch {}",
        "for (;;) try { for (;;) throw 1 } catch {} finally { continue }",
        "/^(a+)+$/.test('a'.repeat(40) + 'b')",
        "'x'.repeat(1e3).split('').sort(() => { for (;;); })",
        "({get x() { for (;;); }})",
        "new Proxy({}, {ownKeys() { for (;;); }})",
        "throw {get message() { for (;;); }}",
        "({toJSON() { for (;;); }})",
        "for (;;) console.log('x')",
        "for (;;) await sleep(0)",
        "let a = 1n; for (;;) a = a * 3n % (2n ** 9999n)",
    ]
    async with open_bench(cache, LIMITS) as bench:
        for code in codes:
            result = await bench.run(code)
            assert (result.error_code, result.success) == ("timeout", False), code


async def test_a_result_that_is_no_json_is_an_error(cache: Path) -> None:
    codes = [
        "({f() {}})",
        "() => 1",
        "Symbol('x')",
        "10n",
        "({deep: [{x: 10n}]})",
        "const a = {}; a.a = a; a",
        "({get x() { throw new Error('no') }})",
        "new Proxy({}, {ownKeys() { throw 1 }})",
        "new Proxy([], {get() { throw null }})",
        "[tools.echo({})]",
        "new Map([[1, 2]])",
        "({toJSON() { return () => 1 }})",
    ]
    async with open_bench(cache) as bench:
        results = [await bench.run(code) for code in codes]
    assert {(each.error_code, each.result) for each in results} == {
        ("result_not_serializable", "null")
    }


async def test_hostile_errors_are_told_all_the_same(cache: Path) -> None:
    codes = [
        "throw {get message() { throw 1 }, get name() { throw 2 }}",
        "throw new Proxy(new Error('x'), {get() { throw 3 }})",
        "throw Object.assign(new Error('m'), {name: {}, stack: 5})",
        "throw Object.assign(new Error('m'), {code: 'timeout'})",
        "const e = new Error('x'.repeat(1e6)); throw e",
        "throw () => 1",
        "class E extends Error { toString() { for (;;); } }; throw new E('e')",
    ]
    async with open_bench(cache) as bench:
        for code in codes:
            result = await bench.run(code)
            assert result.error_code == "script_error", code
            assert 0 < len(result.error or "") < 10_000


async def test_a_script_cannot_call_after_its_end(cache: Path) -> None:
    code = "({get x() { try { tools.echo({}) } catch (error) { return error.message } }})"
    async with open_bench(cache) as bench:
        assert await bench.value(code) == {"x": "the script has ended"}
        assert bench.made == []


async def test_a_thousand_scripts_leave_no_memory_behind(cache: Path) -> None:
    code = "const all = []; for (let i = 0; i < 2000; i++) all.push({i}); console.log(all.length)"
    async with open_bench(cache) as bench:

        async def some(count: int) -> None:
            for _ in range(count):
                assert (await bench.run(code)).success

        await some(100)
        before = _memory()
        await some(900)
        assert _memory() < before * 1.2


async def test_leaving_the_sandbox_leaves_no_process(cache: Path) -> None:
    async with open_bench(cache, LIMITS) as bench, asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(bench.run("for (;;);"))
    assert children() == []


def _memory() -> int:
    """Return what this process and its children hold."""
    return sum(
        int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        for pid in (os.getpid(), *children())
    )
