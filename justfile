set positional-arguments

# Everything CI checks
default: check

# Format, lint, types, import contracts, tests
check: lint types contracts functions test

# Formatting and lint rules
lint:
    uv run ruff format --check .
    uv run ruff check .

# mypy, strict, over source and tests
types:
    uv run mypy
    uv run mypy tests

# Which layer may import which
contracts:
    uv run lint-imports

# The functions that run inside Convex, and the server that tests have for them; needs Node.js
functions:
    npm run --silent --prefix core/convex types
    npm run --silent --prefix tests/convex types
    npm run --silent --prefix core/convex test

# The test suite; arguments go to pytest
test *args:
    uv run pytest "$@"

# Format and mend what can be mended
fix:
    uv run ruff check --fix .
    uv run ruff format .

# Speed and memory, as ratios against a baseline in the same run
bench *args:
    uv run python tests/benchmarks "$@"

# Take the pictures in screenshots/ anew, from the demo
screenshots:
    uv run python tests/screenshots.py
