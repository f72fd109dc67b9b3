"""The engine: one script's world in QuickJS on wasmtime. The only module that knows either.

It builds on the lower half of the ``quickjs_rs`` package: its public half drives scripts on an
event loop, which a child process has no use for, and does not reach the limits of the memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import wasmtime
from quickjs_rs import _engine, _wasmtime
from quickjs_rs._transform import TransformError
from quickjs_rs.transforms import SourceTransform, transform_source

from cody_core.tools.sandbox.limits import ENGINE_MEMORY, MEGABYTE, Limits

PRELUDE = Path(__file__).with_name("prelude.js").read_text("utf-8")

PRELUDE_LINE = 30_000
"""The prelude begins there, behind any script: so a stack tells whose a line is."""

STACK_BYTES = 2 * MEGABYTE
"""The engine's own check never fires in WebAssembly; this ends in a trap."""

State = Literal["pending", "fulfilled", "rejected"]
_STATES: tuple[State, ...] = ("pending", "fulfilled", "rejected")


class EngineError(Exception):
    """The engine broke or hit a limit that nothing survives: throw the process away."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Thrown(Exception):
    """JavaScript threw; ``stack`` is as the engine writes it."""

    def __init__(self, name: str, message: str, stack: str | None) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.stack = stack or ""


def warm_up(cache: Path, memory: int) -> None:
    """Compile the engine, or take it from the cache directory, which must be the user's own."""
    config = wasmtime.Config()
    config.max_wasm_stack = STACK_BYTES
    # By default every memory reserves four gigabytes, and no cap on address space could be set.
    # What is reserved is compiled in: lower limits do with the engine of the usual one.
    config.memory_reservation = max(memory, Limits().memory_bytes) + ENGINE_MEMORY
    config.memory_reservation_for_growth = 0
    config.memory_guard_size = MEGABYTE // 16
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    described = cache / "wasmtime.toml"
    text = f"[cache]\ndirectory = {json.dumps(str(cache.resolve()))}\n"
    if not described.exists() or described.read_text("utf-8") != text:
        described.write_text(text, "utf-8")
    config.cache = str(described)
    _wasmtime._SHARED_ENGINE = wasmtime.Engine(config)
    strip_types("let a: number = 1;")
    with World(memory):
        pass


def strip_types(code: str) -> str:
    """Turn TypeScript into JavaScript; lines are not kept.

    Raises:
        Thrown: it is no TypeScript.
    """
    flags = SourceTransform.SOURCE_TS | SourceTransform.STRIP_TYPESCRIPT
    try:
        return transform_source("script.ts", code, flags=flags)
    except (TransformError, wasmtime.Trap, wasmtime.WasmtimeError) as error:
        message = str(error).rpartition("script.ts: ")[2].splitlines()[0]
        raise Thrown("SyntaxError", message, None) from error


class World:
    """A fresh context with the prelude in it; a context manager."""

    def __init__(self, memory: int) -> None:
        self._ceiling = memory + ENGINE_MEMORY
        runtime = _engine.QjsRuntime(memory_limit=memory, stack_limit=None)
        self._context = _engine.QjsContext(runtime)
        # The engine's own limit lets large blocks through.
        self._store.set_limits(memory_size=self._ceiling)
        text = "\n" * PRELUDE_LINE + PRELUDE
        self._prelude = self._context.eval_handle(text)
        self._api: Any = None
        self._functions: dict[str, Any] = {}

    def __enter__(self) -> World:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._context.close()

    @property
    def _store(self) -> wasmtime.Store:
        return self._context._inst.store

    def prepare(
        self, host: Callable[[str], None], tools: Sequence[str], context: str, limits: Sequence[int]
    ) -> None:
        """Furnish the world for a script; ``host`` is given JSON text and must not raise."""
        self._context.set_host_call_dispatcher(lambda _, values: host(*values))
        self._context.register_host_function("$host", 1)
        out = self._context.global_object().get("$host")
        self._api = self._try(
            lambda: self._prelude.call(out, json.dumps(list(tools)), context, *limits)
        )

    def start(self, code: str) -> Any:
        """Begin a script: it runs up to its first ``await``. Returns its promise.

        Raises:
            Thrown: it does not parse; nothing of it has run.
        """
        return self._try(lambda: self._context.eval_handle(code, promise=True))

    def step(self) -> bool:
        """Run what can run now, though not without end; tell whether there was anything."""
        return bool(self._try(self._context.run_pending_jobs))

    def state(self, promise: Any) -> State:
        """Tell what has become of a promise."""
        number: int = self._try(lambda: self._context.promise_state(promise))
        return _STATES[number]

    def value(self, promise: Any) -> Any:
        """Return what a settled promise was settled with."""
        return self._try(lambda: self._context.promise_result(promise))

    def completion(self, promise: Any) -> Any:
        """Return the value of a script whose promise is fulfilled."""
        return self._try(lambda: self.value(promise).get("value"))

    def is_promise(self, value: Any) -> bool:
        """Tell whether a value is a promise."""
        return bool(self._try(value.is_promise))

    def tell(self, name: str, text: str) -> None:
        """Call a function of the prelude.

        Raises:
            Thrown: it, or something of the script that it ran, threw.
        """
        self._try(lambda: self._function(name).call(text))

    def ask(self, name: str, value: Any) -> str:
        """Call a function of the prelude on a value of the script's, and return its text.

        Raises:
            Thrown: it, or something of the script that it ran, threw.
        """
        return str(self._try(lambda: self._function(name).call(value).to_python()))

    def _function(self, name: str) -> Any:
        if name not in self._functions:
            self._functions[name] = self._api.get(name)
        return self._functions[name]

    def _try(self, act: Callable[[], Any]) -> Any:
        """Translate what the engine raises, once and here."""
        try:
            return act()
        except _engine.JSError as error:
            if self.is_full:
                raise self._out_of_memory from error
            raise Thrown(*error.args) from error
        except wasmtime.Trap as error:
            if error.trap_code is wasmtime.TrapCode.STACK_OVERFLOW:
                message = "the call stack is exhausted: too deep a recursion or nesting"
                raise EngineError("stack_overflow", message) from error
            if self.is_full:
                raise self._out_of_memory from error
            raise EngineError("sandbox_failed", "the script broke the engine") from error
        except (wasmtime.WasmtimeError, _engine.QuickJSError, MemoryError) as error:
            if self.is_full or isinstance(error, MemoryError):
                raise self._out_of_memory from error
            raise EngineError("sandbox_failed", f"the engine failed: {error}") from error

    @property
    def is_full(self) -> bool:
        """Whether the script has come to the limit of its memory."""
        used = self._context._inst.mem.data_len(self._store)
        return used > self._ceiling - ENGINE_MEMORY

    @property
    def _out_of_memory(self) -> EngineError:
        megabytes = (self._ceiling - ENGINE_MEMORY) // MEGABYTE
        return EngineError("memory_limit", f"the script used more than {megabytes} MB of memory")
