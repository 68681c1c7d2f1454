"""Looks for what no call may do: a scenario is varied in every way and at every instant, each variation simulated and
held against the invariants, and what is found is made as small as it can be."""
