"""What `microframe plugins new` starts a package from: a module, its tests and its use in the README for each kind."""
