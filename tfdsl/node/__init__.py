"""A node of a pipe: its contract, what it may ask, and what it becomes where it stands."""

from tfdsl.node.contract import Node, Pipe, pipes
from tfdsl.node.ports import Ports, Writer
from tfdsl.node.registry import adopted, default_types, kinds, lookup, read
from tfdsl.node.steps import Call, Flow, Instance, Path, Shared, Sight, Size, Step, Value, Weight, Work

__all__ = [
    "Call",
    "Flow",
    "Instance",
    "Node",
    "Path",
    "Pipe",
    "Ports",
    "Shared",
    "Sight",
    "Size",
    "Step",
    "Value",
    "Weight",
    "Work",
    "Writer",
    "adopted",
    "default_types",
    "kinds",
    "lookup",
    "pipes",
    "read",
]
