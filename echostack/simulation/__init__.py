"""Virtual time: the event loop on which a call needs no waiting."""
