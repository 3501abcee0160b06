# SPDX-License-Identifier: EUPL-1.2
"""One typed declaration per operation, from which routing, validation, help and OpenAPI derive.

A wrong declaration is refused when its class is created, not when it is first called.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec.structs import replace

from vault.framework.fields import FREE_FORM, Doc, FieldKind
from vault.framework.request.operation import Operation
from vault.values.deprecation import Deprecation

Handler = Callable[..., Awaitable[Any]]
F = TypeVar("F", bound=Handler)

EVENT: Final = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_-]+)+")
"""What the name of an event is made of."""
_PLACE = re.compile(r"\{([a-z_]+)(?::([a-z]+))?\}")
_CAPTURE: Final = {
    "": "[^/]+",
    "path": ".+",
    "any": ".*",
    "name": r"\w(?:[\w.@-]*+(?<=\w))?",
    "uuid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "word": r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]*+(?<=[0-9A-Za-z_]))?",
}
"""The pattern of each style of capture. Words are matched possessively: text after a capture is never part of it."""


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every parameter struct. A field without default is a path capture; None means 'not given'."""

    def __repr__(self) -> str:
        """Show no value: any of them may be a secret."""
        return f"{type(self).__name__}(…)"


class NoParams(Params, frozen=True):
    """An operation without parameters."""


class Parameter(msgspec.Struct, frozen=True):
    """One declared field: name on the wire and in the struct, coercion, meaning, and whether it is in the path.

    `clear`, `deprecation`: see `Doc`.
    """

    name: str
    field: str
    kind: FieldKind
    doc: str
    type: object
    in_path: bool
    default: object
    clear: bool = False
    deprecation: Deprecation | None = None


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call, and in which state. Everything is off by default: a token is required.

    `sudo` also asks for the sudo capability.
    `unaudited` keeps a read out of the audit log (health and status only).
    `exists` names the method that tells create from update.
    `before` names the method that does slow work (asking others, hashing). It runs for an authorised caller, after the
    request is recorded and before the transaction begins; its result is in `call.prepared`.
    `body` is OpenBao's name for the type of the body, used when it refuses a body that is no object.
    `own`: the route is about the caller's own token, and is answered in the namespace of that token.
    `asks`: it takes a body and only looks something up, by nothing secret, so a plan of one call serves the next.
    `reads`, of a listing, is the prefix of the path that reads a listed name, where that is not the listing's path.
    `contained`: a write whose every effect is in its transaction. Its request is recorded with the response, before
    the commit, which is the first effect. The `before` of such a route only reads.
    `repeatable`: it takes an `Idempotency-Key`: the same request with the same key has the effect of one, and gets its
    answer. For contained writes alone, and none whose answer brings a credential: that is never kept.
    `conditional`: it heeds `If-Match` and `If-None-Match`. Where a write does not, one that has a condition is refused.
    `exact`: the numbers of its body are a client's own and stay as they are spelled; those that are no integers are a
    `msgspec.Raw`, also beyond the range of 64-bit floats.
    `deprecation`: since when the route is due to go, which its answers say.
    `writes_new`: a write that only writes where there is nothing yet (`exists`); otherwise it is a look.
    `free_for` are the kinds of credentials that need no policy for it; a policy that denies it still counts.
    `despite_audit`: a read that is answered even if no device takes its record, because it shows that none does.
    It is refused where its answer would be wrapped, because that issues a token.
    `event` is what the log calls it, after `esa.`; empty for the kind of the mount and the operation. `resource` is the
    type of what it is about, for routes whose captures name that below the mount; empty where its path does. See
    `vault.log.events`.
    """

    public: bool = False
    sudo: bool = False
    when_sealed: bool = False
    unaudited: bool = False
    writes: bool = False
    exists: str = ""
    before: str = ""
    own: bool = False
    asks: bool = False
    body: str = "map[string]interface {}"
    reads: str | None = None
    contained: bool = False
    repeatable: bool = False
    conditional: bool = False
    exact: bool = False
    deprecation: Deprecation | None = None
    writes_new: bool = False
    free_for: tuple[str, ...] = ()
    despite_audit: bool = False
    event: str = ""
    resource: str = ""

    def writes_as(self, operation: Operation) -> bool:
        """Whether a call that turned out to be `operation` may write."""
        return self.writes and not (self.writes_new and operation is Operation.UPDATE)

    @property
    def factless(self) -> bool:
        """Whether it answers anybody while sealed too: once no limit keeps a call out, what is stored does not either."""
        return self.public and self.when_sealed

    @property
    def despite_devices(self) -> bool:
        """Whether it is answered although a required device lacks records of the log: it shows why, or opens the vault."""
        return self.despite_audit or self.when_sealed


BISCUITS: Final = ("biscuit",)
"""`free_for` of routes about the credential itself: Biscuits have no `default` policy."""
_USUAL: Final = Access()


class Route(msgspec.Struct, frozen=True, eq=False):
    """One operation of one engine. Each is declared once, and equals itself alone."""

    operation: Operation
    template: str
    access: Access
    params: type[Params]
    parameters: Mapping[str, Parameter]
    result: object
    summary: str
    description: str
    handler: str

    @property
    def shown(self) -> str:
        """The template as people read it: captures without their style."""
        return _PLACE.sub(r"{\1}", self.template)

    @property
    def pattern(self) -> str:
        """The template as a regular expression on the path below the mount."""
        return _pattern(self.template, listing=self.operation in {Operation.LIST, Operation.SCAN})


@functools.cache
def _pattern(template: str, *, listing: bool) -> str:
    """Return the regular expression of a template, cached because every new mount asks for all of them."""
    parts = _PLACE.split(template)
    text = re.escape(parts[0])
    for name, style, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{_CAPTURE[style or '']})" + re.escape(literal)
    return text + "/?" if listing and not text.endswith(".*)") else text


class WrongDeclaration(TypeError):
    """A route is declared wrongly; the message says where and how."""


def _declare(operation: Operation, template: str, access: Access) -> Callable[[F], F]:
    def mark(function: F) -> F:
        pending: list[tuple[Operation, str, Access]] = getattr(function, "__routes__", [])
        function.__routes__ = [*pending, (operation, template, access)]  # type: ignore[attr-defined]  # marks it
        return function

    return mark


def read(template: str, **access: Any) -> Callable[[F], F]:
    """Declare GET."""
    return _declare(Operation.READ, template, Access(**access))


def list_(template: str, **access: Any) -> Callable[[F], F]:
    """Declare LIST (and `GET ?list=true`)."""
    return _declare(Operation.LIST, template, Access(**access))


def scan(template: str, **access: Any) -> Callable[[F], F]:
    """Declare SCAN (and `GET ?scan=true`)."""
    return _declare(Operation.SCAN, template, Access(**access))


def write(template: str, **access: Any) -> Callable[[F], F]:
    """Declare POST and PUT. With `exists` the operation is create or update, without it always update."""
    return _declare(Operation.UPDATE, template, replace(Access(**access), writes=access.get("writes", True)))


def patch(template: str, **access: Any) -> Callable[[F], F]:
    """Declare PATCH (RFC 7396)."""
    return _declare(Operation.PATCH, template, replace(Access(**access), writes=True))


def delete(template: str, **access: Any) -> Callable[[F], F]:
    """Declare DELETE."""
    return _declare(Operation.DELETE, template, replace(Access(**access), writes=access.get("writes", True)))


def collect(engine: type) -> tuple[Route, ...]:
    """Build the routes of a class from its marked methods. Raises `WrongDeclaration`."""
    routes: dict[tuple[str, Operation], Route] = {}
    for name, function in inspect.getmembers(engine, inspect.isfunction):
        for operation, template, access in getattr(function, "__routes__", ()):
            route = _build(engine, name, function, operation, template, access)
            key = (re.sub(r"\(\?P<[a-z_]+>", "(", route.pattern), operation)
            if key in routes:
                raise WrongDeclaration(
                    f"{engine.__name__}.{name}: overlaps {routes[key].handler} on {template}"
                )
            routes[key] = route
    return tuple(sorted(routes.values(), key=order_of))


def order_of(route: Route) -> tuple[tuple[int, ...], str, Operation]:
    """Order routes so that the nearest template comes first."""
    return _specificity(route.template), route.template, route.operation


@functools.cache
def _specificity(template: str) -> tuple[int, ...]:
    """Order by literal text first: `a/b`, then `a/{x}`, then `{x:any}/b`, then `{x:any}`."""
    shape = []
    for segment in template.split("/"):
        place = _PLACE.search(segment)
        shape.append(0 if not place else (2 if place[2] in {"any", "path"} else 1))
    return (*shape, 3)


def _build(
    engine: type, name: str, function: Handler, operation: Operation, template: str, access: Access
) -> Route:
    where = f"{engine.__name__}.{name}"
    doc = inspect.cleandoc(function.__doc__ or "")
    if not doc:
        raise WrongDeclaration(f"{where}: a docstring is missing; it is the operation's documentation")
    hints = inspect.get_annotations(function)
    if "return" not in hints:
        raise WrongDeclaration(f"{where}: the result has no type")
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if names[1:2] != ("call",) or len(names) > 3:
        raise WrongDeclaration(f"{where}: takes (self, call) or (self, call, params)")
    taken = hints.get(names[2]) if len(names) == 3 else NoParams
    result, params = _meant((hints["return"], taken), function.__globals__)
    if not (isinstance(params, type) and issubclass(params, Params)):
        raise WrongDeclaration(f"{where}: {names[2]} must be a Params struct")
    captures = [match[1] for match in _PLACE.finditer(template)]
    if len(set(captures)) < len(captures):
        raise WrongDeclaration(f"{where}: a name is captured twice in {template}")
    parameters = _parameters(where, params, set(captures))
    if access.event and EVENT.fullmatch(access.event) is None:
        raise WrongDeclaration(f"{where}: {access.event} is no name of an event")
    if access.repeatable and not access.contained:
        raise WrongDeclaration(f"{where}: it has effects beside its transaction, so it cannot be repeatable")
    if access.resource and not captures:
        raise WrongDeclaration(f"{where}: no capture names the {access.resource}")
    for what in ("exists", "before"):
        method = getattr(access, what)
        if method and not callable(getattr(engine, method, None)):
            raise WrongDeclaration(f"{where}: {what}={method} is not a method")
    summary, _, description = doc.partition("\n")
    return Route(operation, template, access, params, parameters, result, summary, description.strip(), name)


def _parameters(where: str, params: type[Params], captures: set[str]) -> Mapping[str, Parameter]:
    unknown = captures.difference(params.__struct_fields__)
    if unknown:
        raise WrongDeclaration(f"{where}: path captures without a field: {sorted(unknown)}")
    found: dict[str, Parameter] = {}
    for field in _fields(params):
        if not field.doc:
            raise WrongDeclaration(f"{where}: field {field.field} has no Doc")
        if field.clear and field.kind.name in FREE_FORM:
            raise WrongDeclaration(f"{where}: field {field.field} is clear, and may hold anything")
        in_path = field.field in captures
        if field.default is msgspec.NODEFAULT and not in_path:
            raise WrongDeclaration(f"{where}: field {field.field} needs a default (None for 'not given')")
        found[field.name] = replace(field, in_path=True) if in_path else field
    return found


@functools.cache
def _fields(params: type[Params]) -> Sequence[Parameter]:
    """Return the fields of a struct, for routes whose path captures none of them; many routes share a struct."""
    types: dict[str, object] = {}
    for base in reversed(params.__mro__):
        hints = inspect.get_annotations(base)
        meant = _meant(tuple(hints.values()), vars(sys.modules[base.__module__]), vars(base))
        types.update(zip(hints, meant, strict=True))
    names = params.__struct_fields__
    given = params.__struct_defaults__
    defaults = (*(msgspec.NODEFAULT for _ in names[len(given) :]), *given)
    return [
        Parameter(
            wire,
            name,
            kind,
            doc.text,
            inner,
            False,
            default.factory() if hasattr(default, "factory") else default,
            doc.clear,
            doc.deprecation,
        )
        for name, wire, default in zip(names, params.__struct_encode_fields__, defaults, strict=True)
        for inner, kind, doc in (_unpack(types[name]),)
    ]


def _meant(
    hints: Sequence[object], names: dict[str, Any], inner: Mapping[str, object] = {}
) -> Sequence[object]:
    """Return the values of annotations, given the `names` of their module and the `inner` ones of their class.

    All are compiled as one expression, because a start evaluates thousands.
    """
    spelled = ",".join(hint for hint in hints if isinstance(hint, str))
    found = iter(eval(f"({spelled},)", names, inner) if spelled else ())  # noqa: S307 - our own source
    return [next(found) if isinstance(hint, str) else hint for hint in hints]


_KINDS: Final = {str: FieldKind("string"), int: FieldKind("int"), bool: FieldKind("bool")}


_NO_DOC: Final = Doc("")


def _unpack(hint: object) -> tuple[object, FieldKind, Doc]:
    """Take a hint apart into type, kind and documentation, through Annotated and `| None`."""
    kind: FieldKind | None = None
    doc = _NO_DOC
    while get_origin(hint) is Annotated or get_origin(hint) in (Union, types.UnionType):
        if get_origin(hint) is Annotated:
            hint, *extras = get_args(hint)
            kind = next((extra for extra in extras if isinstance(extra, FieldKind)), kind)
            doc = next((extra for extra in extras if isinstance(extra, Doc)), doc)
        else:
            (hint,) = [part for part in get_args(hint) if part is not type(None)]
    if kind is None:
        try:
            kind = _KINDS[hint]  # type: ignore[index]  # a hint that is no class is not in the table
        except (KeyError, TypeError):
            raise WrongDeclaration(f"no coercion for the type {hint}") from None
    return hint, kind, doc
