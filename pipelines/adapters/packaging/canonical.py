"""The same graph in the same bytes: converters name by counters, random identifiers and hash order."""

from __future__ import annotations

from itertools import count
from typing import Any


def number_names(graph: Any) -> dict[str, str]:
    """Rename all values of an `onnx.GraphProto` to t0, t1, ... in the order of their first use.

    Constants are put in that order too, and names of nodes, comments and shapes of inner values are dropped.

    Returns:
        The new names by the old ones, without those of subgraphs.
    """
    return _Numbering().walk(graph, [])


class _Scope:
    """The names that one graph or subgraph defines, with their new ones."""

    def __init__(self, graph: Any) -> None:
        made = (name for node in graph.node for name in node.output)
        self.defined = {value.name for value in (*graph.input, *graph.initializer)} | set(made)
        self.new: dict[str, str] = {}


class _Numbering:
    def __init__(self) -> None:
        self._fresh = count()

    def walk(self, graph: Any, outer: list[_Scope]) -> dict[str, str]:
        """Rename one graph; a subgraph also uses names of those around it."""
        scopes = [*outer, _Scope(graph)]
        for value in graph.input:
            value.name = self._look_up(value.name, scopes)
        for node in graph.node:
            self._rename_node(node, scopes)
        for value in graph.output:
            value.name = self._look_up(value.name, scopes)
        _order_constants(graph, scopes[-1].new)
        graph.name, graph.doc_string = "model", ""
        del graph.value_info[:], graph.metadata_props[:]
        return scopes[-1].new

    def _rename_node(self, node: Any, scopes: list[_Scope]) -> None:
        node.name = node.doc_string = ""
        del node.metadata_props[:]
        node.input[:] = [self._look_up(name, scopes) for name in node.input]
        attributes = sorted(node.attribute, key=lambda attribute: str(attribute.name))
        for attribute in attributes:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                self.walk(inner, scopes)
        del node.attribute[:]
        node.attribute.extend(attributes)
        node.output[:] = [self._look_up(name, scopes) for name in node.output]

    def _look_up(self, name: str, scopes: list[_Scope]) -> str:
        for scope in reversed(scopes):
            if name in scope.defined and name:  # an empty name is an input that is left out
                return scope.new.setdefault(name, f"t{next(self._fresh)}")
        return name


def _order_constants(graph: Any, new: dict[str, str]) -> None:
    used = [value for value in graph.initializer if value.name in new]
    used.sort(key=lambda value: int(new[value.name][1:]))
    for value in used:
        value.name, value.doc_string = new[value.name], ""
    del graph.initializer[:]
    graph.initializer.extend(used)


def forget_the_maker(model: Any) -> None:
    """Drop what an `onnx.ModelProto` says of who made it and when; sort its operator sets."""
    model.producer_name, model.producer_version, model.domain, model.doc_string = "turnout", "", "", ""
    model.model_version = 0
    del model.metadata_props[:]
    domains = sorted({(entry.domain, entry.version) for entry in model.opset_import})
    del model.opset_import[:]
    for domain, version in domains:
        model.opset_import.add(domain=domain, version=version)
