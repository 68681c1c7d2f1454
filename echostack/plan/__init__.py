"""A checked graph is lowered to islands, queues and scopes: frozen data that every session shares."""
