"""The standard parts: one module a kind, each a plugin like anybody's."""
