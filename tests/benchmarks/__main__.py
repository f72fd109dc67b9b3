"""Makes the folder runnable by its path, which ``just bench`` does."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # the benchmarks are a package among the tests
    from benchmarks.run import main

    main()
