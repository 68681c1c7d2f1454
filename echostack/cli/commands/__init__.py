"""The commands, one a module; each function's signature is its usage, its docstring its help."""
