set positional-arguments

[private]
default: check

# Everything CI checks; without a recipe, this is what runs
[group('check')]
check: static test

# All that can be checked without running Cody, side by side
[group('check')]
[parallel]
static: lint types contracts functions

# Formatting and lint rules, by ruff
[group('check')]
lint:
    uv run ruff format --check .
    uv run ruff check .

# Types, by mypy: strict, over source and tests
[group('check')]
types:
    uv run mypy

# Which layer may import which, by import-linter
[group('check')]
contracts:
    uv run lint-imports

# Types and tests of the functions that run inside Convex; needs Node.js, and "just install" once
[group('check')]
functions:
    npm run --silent --prefix core/convex types
    npm run --silent --prefix tests/convex types
    npm run --silent --prefix core/convex test

# The tests; arguments go to pytest: just test -k sandbox --durations=20
[group('check')]
test *args:
    uv run pytest "$@"

# What tests on Convex need, from npm
[group('work')]
install:
    npm ci --silent --prefix core/convex
    npm ci --silent --prefix tests/convex

# Format, and mend what ruff can mend
[group('work')]
fix:
    uv run ruff check --fix .
    uv run ruff format .

# Speed and memory beside a baseline of the same run, in five minutes: just bench --only latency
[group('work')]
bench *args:
    uv run python tests/benchmarks "$@"

# Take the pictures in screenshots/ anew, from the demo
[group('work')]
screenshots:
    uv run python tests/screenshots.py
