"""What the core costs, measured: ``just bench``. The figures are in the README beside this."""
