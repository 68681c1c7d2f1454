"""A checked graph is lowered to islands, queues and scopes: frozen data that every session shares."""

from echostack.plan.lower import lower
from echostack.plan.model import ENGINE, Island, Plan, PlanEdge, PlanNode, QueuePlan, ScopePlan, SpeculatePlan

__all__ = ["ENGINE", "Island", "Plan", "PlanEdge", "PlanNode", "QueuePlan", "ScopePlan", "SpeculatePlan", "lower"]
