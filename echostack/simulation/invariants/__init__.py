"""What no call may do, whatever its scenario: looked for in every simulated call, by evidence of its own.

``check`` holds the list of them; the other modules hold one function an invariant, an area a module. ``witness`` is the
probe that gathers what the events and the far end do not tell.
"""
