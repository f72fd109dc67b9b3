"""Which commands are alike: those that begin with the same program and its first argument.

That says what a command will do only if it is one plain program that runs no other. Where it does
not (two programs, an interpreter, an option whose value decides), a command is only like itself.
Nothing here can tell what any program makes of its further arguments, so whoever consents is told
which words count.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

LEADING_WORDS: Final = 2
# fmt: off
WRAPPERS: Final = frozenset({
    # They run what they are told to: as somebody else, elsewhere, later, again, or otherwise.
    ".", "at", "batch", "builtin", "busybox", "chroot", "chrt", "chronic", "command", "coproc",
    "crontab", "direnv", "doas", "docker", "dtach", "entr", "env", "eval", "exec", "expect",
    "faketime", "fakeroot", "fd", "fdfind", "find", "flatpak", "flock", "gdb", "hyperfine",
    "ionice", "kubectl", "lldb", "ltrace", "nerdctl", "nice", "nix", "nix-shell", "nohup",
    "nsenter", "numactl", "parallel", "perf", "pkexec", "podman", "proxychains", "rlwrap",
    "rsync", "run0", "runuser", "scp", "screen", "script", "setarch", "setpriv", "setsid", "sftp",
    "socat", "source", "ssh", "start-stop-daemon", "stdbuf", "strace", "su", "sudo", "systemd-run",
    "tar", "taskset", "time", "timeout", "tmux", "toybox", "trap", "unbuffer", "unshare",
    "valgrind", "watch", "watchexec", "xargs", "xvfb-run",
    # They run, or fetch and run, what is in a package.
    "bundle", "bunx", "conda", "corepack", "hatch", "mamba", "pdm", "pipenv", "pipx", "pnpx",
    "poetry", "npx", "uv", "uvx",
    # Their arguments are programs in languages that can start others.
    "awk", "bun", "clisp", "deno", "ed", "elixir", "emacs", "erl", "ex", "gawk", "ghc", "gjs",
    "groovy", "guile", "irb", "java", "jshell", "julia", "lua", "luajit", "m4", "mawk", "nawk",
    "node", "nodejs", "nu", "ocaml", "octave", "osascript", "perl", "php", "powershell", "psql",
    "pwsh", "pypy", "python", "qjs", "r", "raku", "rc", "rscript", "ruby", "sbcl", "scala", "sed",
    "sqlite", "swipl", "tclsh", "ts-node", "tsx", "vi", "view", "vim", "nvim", "wish", "xonsh",
})
# fmt: on
"""Programs whose arguments are programs: their leading words say nothing of what will happen."""

_RUNNING: Final = frozenset({"dlx", "exec", "run", "shell", "x"})
"""First arguments after which many programs take another: ``npm run``, ``cargo run``."""
_FAMILIES: Final = re.compile(r"\w*sh|(?:lua|nodejs|perl|php|pypy|python|ruby)[-.\w]*")
_VERSION: Final = re.compile(r"[-.\d]*(?:\.exe)?$")
_COMPOUND: Final = re.compile(r"[;&|<>`$(){}\n\r\\*?~#!\[\]]")


def leading_words(command: str) -> str:
    """Return what commands must begin with to count as alike; all of it where none are."""
    return beginning(command) or command


def beginning(command: str) -> str | None:
    """Return the words that make a command like others, or ``None`` if it is like no other."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if len(words) < LEADING_WORDS or _COMPOUND.search(command) or "=" in words[0]:
        return None
    # With an option in front it is what comes after that which says what is done.
    if words[1].startswith("-") or words[1] in _RUNNING or _runs_others(words[0]):
        return None
    return shlex.join(words[:LEADING_WORDS])


def _runs_others(program: str) -> bool:
    """Tell whether a program, by whatever path and in whichever version, is one of those."""
    name = program.rpartition("/")[2].lower()
    plain = _VERSION.sub("", name, count=1)
    return bool({name, plain} & WRAPPERS) or _FAMILIES.fullmatch(plain) is not None
