from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from support.convex import ConvexServer, missing
from support.redis import RedisServer, find_server

_OURS = ("CODY_", "CORE2_", "OPENAI_", "ANTHROPIC_", "OPENROUTER_", "REDIS_", "CONVEX_", "VLLM_")

# Workers, and programs that a test starts, keep their bytecode, as they would when installed.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while all is imported: a fifth of the time, and next to none is there.

    What there is by then stays. To look through it again and again would take as long.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_xdist_auto_num_workers() -> int:
    """Use one worker more than there are cores: many tests wait for a process or a socket.

    With two for each core the same tests took a third more CPU, and longer.
    """
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The only authority that tests believe: loading all of the world's takes 50 ms each time."""
    return trustme.CA()


@pytest.fixture(scope="session")
def believed(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of that authority."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(autouse=True)
def own_surroundings(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    believed: Path,
) -> None:
    """No test sees the settings, the keys or the data of whoever runs it."""
    if request.node.get_closest_marker("live") is None:
        monkeypatch.setenv("SSL_CERT_FILE", str(believed))
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)
    for name in ("HOST", "PORT", "NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CODY_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the compiled engine of the sandbox is kept: compiling it takes seconds."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent  # which all workers share
    (place / "engine").mkdir(exist_ok=True)
    return place / "engine"


@pytest.fixture
def home(tmp_path: Path, engine: Path) -> Path:
    """A data directory as it is where the sandbox has been used before."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "sandbox").symlink_to(engine)
    return home


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for the whole session; each test uses runs of its own."""
    with _redis() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis server that a test has for itself, and may stop."""
    with _redis() as server:
        yield server


@contextmanager
def _redis() -> Iterator[RedisServer]:
    if (binary := find_server()) is None:
        pytest.skip("no redis-server: install Debian's redis-server, or uv sync on Linux x86-64")
    server = RedisServer(binary)
    server.start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def convex_process() -> Iterator[ConvexServer]:
    """A Convex server for the whole session."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    server = ConvexServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def convex(convex_process: ConvexServer) -> ConvexServer:
    """That server, with nothing stored and no faults."""
    convex_process.reset()
    return convex_process
