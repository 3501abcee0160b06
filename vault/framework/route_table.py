# SPDX-License-Identifier: EUPL-1.2
"""The routes of live engines: a path and an operation find the handler, and nothing else does."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from vault.framework.call import BoundRoute, Call
from vault.framework.engine import Engine
from vault.framework.errors import UnsupportedOperation, UnsupportedPath
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.route import Access, Handler, NoParams, Params, Route, WrongDeclaration, order_of

_USUAL: Final = Access()


def special(
    answer: Callable[[Call], Awaitable[Reply[object] | msgspec.Struct | None]],
    operation: Operation,
    access: Access = _USUAL,
) -> BoundRoute:
    """Return a route outside any engine. It takes no parameters; `answer` returns or raises the answer."""
    route = Route(operation, "", access, NoParams, {}, None, "", "", "")

    async def invoke(call: Call, params: Params) -> Reply[object] | msgspec.Struct | None:
        del params
        return await answer(call)

    return BoundRoute(route, invoke, None)


def _invoker(handler: Handler, params: type[Params]) -> Handler:
    """Return the handler in the form (call, params), also where it takes none."""
    return (lambda call, _: handler(call)) if params is NoParams else handler


def _announcing(route: Route, invoke: Handler) -> Handler:
    """Return the handler of a route so that its answers say what was used that is due to go."""
    whole = route.access.deprecation
    members = {name: one.deprecation for name, one in route.parameters.items() if one.deprecation}
    if whole is None and not members:
        return invoke

    async def announced(call: Call, params: Params) -> object:
        used = whole or next((one for name, one in members.items() if name in call.data), None)
        if used is not None:
            said = [
                header for header in call.admission if header[0] != b"deprecation" and header[0] != b"sunset"
            ]
            call.admission = [*said, *used.headers]
        return await invoke(call, params)

    return announced


@functools.cache
def _compiled(text: str) -> re.Pattern[str]:
    """Return a template's regular expression, compiled when a path first needs it, for all tables of a process."""
    return re.compile(text)


@functools.cache
def _planned(
    declared: tuple[tuple[Route, ...], ...],
) -> tuple[tuple[str, str, Mapping[Operation, tuple[int, Route]]], ...]:
    """Return each regular expression with what paths begin with, and its operations: a route, and which engine's it is.

    The nearest comes first. Empty is the beginning of what a capture begins.

    It is the same for all tables of the same engines, of which each namespace and each server of a process has some.
    Raises `WrongDeclaration`.
    """
    shapes: dict[str, dict[Operation, tuple[int, Route]]] = {}
    for whose, routes in enumerate(declared):
        for route in routes:
            group = shapes.setdefault(route.pattern, {})
            if route.operation in group:
                raise WrongDeclaration(f"two engines declare {route.operation} {route.template}")
            group[route.operation] = whose, route
    first = {text: next(iter(group.values()))[1] for text, group in shapes.items()}
    ordered = sorted(shapes, key=lambda text: order_of(first[text]))
    heads = (first[text].template.partition("/")[0] for text in ordered)
    return tuple(
        ("" if "{" in head else head, text, shapes[text]) for head, text in zip(heads, ordered, strict=True)
    )


def _bound(route: Route, engine: Engine) -> BoundRoute:
    """Return a route on a live engine."""
    access = route.access
    exists = getattr(engine, access.exists) if access.exists else None
    before = getattr(engine, access.before) if access.before else None
    invoke = _announcing(route, _invoker(getattr(engine, route.handler), route.params))
    return BoundRoute(route, invoke, exists, before)


class _Shape:
    """The operations that share one template, bound to their engines when a path first needs them."""

    def __init__(
        self, text: str, group: Mapping[Operation, tuple[int, Route]], engines: Sequence[Engine]
    ) -> None:
        self._text = text
        self._group = group
        self._engines = engines

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        return _compiled(self._text)

    @functools.cached_property
    def group(self) -> Mapping[Operation, BoundRoute]:
        return {
            operation: _bound(route, self._engines[whose])
            for operation, (whose, route) in self._group.items()
        }


class RouteTable:
    """The routes of one or more live engines, matched on the path below their mount."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines
        self._planned = _planned(tuple(engine.routes for engine in engines))

    @property
    def declared(self) -> Iterator[Route]:
        """Every route, the nearest template first; none is bound for it."""
        return (route for _, _, group in self._planned for _, route in group.values())

    @functools.cached_property
    def _by_head(self) -> Mapping[str, Sequence[_Shape]]:
        shapes: dict[str, list[_Shape]] = {}
        for head, text, group in self._planned:
            shapes.setdefault(head, []).append(_Shape(text, group, self._engines))
        return shapes

    @functools.cached_property
    def all(self) -> tuple[BoundRoute, ...]:
        """Every route, the nearest template first."""
        return tuple(
            _bound(route, self._engines[whose])
            for _, _, group in self._planned
            for whose, route in group.values()
        )

    def matching(self, path: str) -> tuple[BoundRoute, ...]:
        """Return every operation on `path`, those of the nearest template first."""
        found: list[BoundRoute] = []
        for candidates in (self._by_head.get(path.partition("/")[0]), self._by_head.get("")):
            for shape in candidates or ():
                if shape.pattern.fullmatch(path):
                    found += shape.group.values()
        return tuple(found)

    def helping(self, path: str) -> tuple[BoundRoute, ...]:
        """Return the operations that help on `path` describes: those of the nearest template, and listings there."""
        found = self.matching(path)
        lists = {Operation.LIST, Operation.SCAN}
        nearest = {one.route.template for one in found if one.route.operation not in lists} or {""}
        first = next((one.route.template for one in found if one.route.template in nearest), "")
        return tuple(one for one in found if one.route.template == first or one.route.operation in lists)

    def match(self, path: str, operation: Operation) -> tuple[BoundRoute, Mapping[str, str]]:
        """Return the route and its captures. Raises `UnsupportedPath` or `UnsupportedOperation`."""
        known = False
        for candidates in (self._by_head.get(path.partition("/")[0]), self._by_head.get("")):
            for shape in candidates or ():
                match = shape.pattern.fullmatch(path)
                if match is None:
                    continue
                bound = shape.group.get(operation)
                if bound is not None:
                    return bound, match.groupdict()
                known = True
        raise UnsupportedOperation if known else UnsupportedPath
