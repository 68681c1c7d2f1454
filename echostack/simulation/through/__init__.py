"""A recorded call run through another graph: the same caller, the same answers, and what becomes of them."""

from echostack.simulation.through.difference import Difference, First, Side
from echostack.simulation.through.parts import Part
from echostack.simulation.through.run import through

__all__ = ["Difference", "First", "Part", "Side", "through"]
