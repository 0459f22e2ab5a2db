"""The checks of the conformance suite, one module a kind; each lists its functions in ``CHECKS``."""
