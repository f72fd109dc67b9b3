"""One contract, run over every store."""
