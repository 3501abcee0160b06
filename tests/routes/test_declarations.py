# SPDX-License-Identifier: EUPL-1.2
"""A route that is declared wrongly is refused when its class is created, with the place and the reason."""

from collections.abc import Callable
from typing import Annotated

import pytest

from tests.routes.driver import Application
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.fields import Doc, FieldKind, Map, Span
from vault.framework.request.operation import Operation
from vault.framework.route import NoParams, Params, WrongDeclaration, list_, read, write
from vault.framework.route_table import RouteTable
from vault.values.times import Seconds


class Named(Params, frozen=True):
    """Has a capture."""

    name: Annotated[str, Doc("Which.")]


class Undocumented(Params, frozen=True):
    """Has a field that says nothing."""

    name: str = ""


class Required(Params, frozen=True):
    """Has a field without default that no path captures."""

    colour: Annotated[str, Doc("Which colour.")]


class Untyped(Params, frozen=True):
    """Has a type that nothing coerces to."""

    when: Annotated[complex, Doc("What?")] = 0j


class Anyhow(Params, frozen=True):
    """Has a field whose value the log may show, whatever it is."""

    data: Annotated[Map | None, Doc("What to keep.", clear=True)] = None


class Half(Params, frozen=True):
    """Has one field that the log may show, and one that it may not."""

    ttl: Annotated[Span, Doc("How long.", clear=True)] = Seconds(0)
    text: Annotated[str, Doc("What it is.")] = ""


def no_docstring() -> type[Engine]:
    class Wrong(Engine):
        @read("x")
        async def show(self, call: Call) -> None:
            pass

    return Wrong


def repeatable_with_effects() -> type[Engine]:
    class Wrong(Engine):
        @write("x", repeatable=True)
        async def change(self, call: Call) -> None:
            """Change."""

    return Wrong


def no_result() -> type[Engine]:
    class Wrong(Engine):
        @read("x")
        async def show(self, call: Call):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- what is wrong here
            """Show."""

    return Wrong


def no_call() -> type[Engine]:
    class Wrong(Engine):
        @read("x")
        async def show(self, params: NoParams) -> None:
            """Show."""

    return Wrong


def too_many() -> type[Engine]:
    class Wrong(Engine):
        @read("x")
        async def show(self, call: Call, params: NoParams, more: int) -> None:
            """Show."""

    return Wrong


def no_struct() -> type[Engine]:
    class Wrong(Engine):
        @read("x")
        async def show(self, call: Call, params: dict[str, str]) -> None:
            """Show."""

    return Wrong


def capture_without_field() -> type[Engine]:
    class Wrong(Engine):
        @read("x/{name}")
        async def show(self, call: Call) -> None:
            """Show."""

    return Wrong


def capture_that_comes_twice() -> type[Engine]:
    class Wrong(Engine):
        @read("x/{name}/{name}")
        async def show(self, call: Call, params: Named) -> None:
            """Show."""

    return Wrong


def params_without_a_type() -> type[Engine]:
    class Wrong(Engine):
        @read("x")
        async def show(self, call: Call, params) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 -- what is wrong here
            """Show."""

    return Wrong


def field_without_doc() -> type[Engine]:
    class Wrong(Engine):
        @write("x")
        async def change(self, call: Call, params: Undocumented) -> None:
            """Change."""

    return Wrong


def field_without_default() -> type[Engine]:
    class Wrong(Engine):
        @write("x")
        async def change(self, call: Call, params: Required) -> None:
            """Change."""

    return Wrong


def field_without_coercion() -> type[Engine]:
    class Wrong(Engine):
        @write("x")
        async def change(self, call: Call, params: Untyped) -> None:
            """Change."""

    return Wrong


def clear_field_of_any_form() -> type[Engine]:
    class Wrong(Engine):
        @write("x")
        async def change(self, call: Call, params: Anyhow) -> None:
            """Change."""

    return Wrong


def event_of_a_wrong_name() -> type[Engine]:
    class Wrong(Engine):
        @read("x", event="Fine")
        async def show(self, call: Call) -> None:
            """Show."""

    return Wrong


def resource_without_a_name() -> type[Engine]:
    class Wrong(Engine):
        @read("x", resource="kv.secret")
        async def show(self, call: Call) -> None:
            """Show."""

    return Wrong


def exists_that_is_missing() -> type[Engine]:
    class Wrong(Engine):
        @write("x", exists="nowhere")
        async def change(self, call: Call) -> None:
            """Change."""

    return Wrong


def overlap() -> type[Engine]:
    class Wrong(Engine):
        @read("x/{name}")
        async def show(self, call: Call, params: Named) -> None:
            """Show."""

        @read("x/{name}")
        async def show_again(self, call: Call, params: Named) -> None:
            """Show."""

    return Wrong


@pytest.mark.parametrize(
    ("declare", "reason"),
    [
        (no_docstring, "a docstring is missing"),
        (repeatable_with_effects, "it has effects beside its transaction, so it cannot be repeatable"),
        (no_result, "the result has no type"),
        (no_call, r"takes \(self, call\) or \(self, call, params\)"),
        (too_many, r"takes \(self, call\) or \(self, call, params\)"),
        (no_struct, "params must be a Params struct"),
        (capture_without_field, r"path captures without a field: \['name'\]"),
        (capture_that_comes_twice, "a name is captured twice in x/{name}/{name}"),
        (params_without_a_type, "params must be a Params struct"),
        (field_without_doc, "field name has no Doc"),
        (field_without_default, "field colour needs a default"),
        (field_without_coercion, "no coercion for the type"),
        (clear_field_of_any_form, "field data is clear, and may hold anything"),
        (event_of_a_wrong_name, "Fine is no name of an event"),
        (resource_without_a_name, "no capture names the kv.secret"),
        (exists_that_is_missing, "exists=nowhere is not a method"),
        (overlap, "overlaps show"),
    ],
)
def test_a_wrong_declaration_is_refused_when_its_class_is_created(
    declare: Callable[[], type[Engine]], reason: str
) -> None:
    with pytest.raises(WrongDeclaration, match=reason):
        declare()


def test_a_field_is_hashed_in_the_log_unless_its_doc_says_that_it_is_clear() -> None:
    class Fine(Engine):
        @write("x")
        async def change(self, call: Call, params: Half) -> None:
            """Change."""

    (route,) = Fine.routes
    assert {name: one.clear for name, one in route.parameters.items()} == {"ttl": True, "text": False}


def test_an_access_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="pubic"):

        class Wrong(Engine):
            @read("x", pubic=True)
            async def show(self, call: Call) -> None:
                """Show."""


class Right(Engine):
    """Two routes on one path, one of them more specific."""

    @read("x/{name}")
    async def show(self, call: Call, params: Named) -> None:
        """Show one."""

    @read("x/all")
    async def show_all(self, call: Call) -> None:
        """Show all."""

    @list_("x")
    async def list_them(self, call: Call) -> None:
        """List them."""


def test_the_more_literal_route_is_tried_first() -> None:
    assert [route.handler for route in Right.routes if route.template != "x"] == ["show_all", "show"]


def test_two_engines_of_one_mount_may_not_declare_the_same_route() -> None:
    class Other(Engine):
        @read("x/{name}")
        async def show_too(self, call: Call, params: Named) -> None:
            """Show one."""

    with pytest.raises(WrongDeclaration, match="two engines declare"):
        RouteTable([Right(), Other()])


def test_tables_of_the_same_kinds_of_engines_serve_each_its_own_engine() -> None:
    class Kept(Engine):
        def __init__(self, answer: str) -> None:
            self.answer = answer

        @read("x")
        async def show(self, call: Call) -> None:
            """Show."""
            raise WrongDeclaration(self.answer)

    for answer in ("one", "other"):
        bound, _ = RouteTable([Kept(answer)]).match("x", Operation.READ)
        with pytest.raises(WrongDeclaration, match=answer):
            bound.invoke(None, None).send(None)  # type: ignore[arg-type,attr-defined]  # a coroutine, which needs no call


def test_what_every_declared_route_names_is_there(application: Application) -> None:
    """A route is bound when a path first needs it: what it names must not be missing only then."""
    for mount in application.vault.mounts.router.root:
        assert [bound.route for bound in mount.backend.routes.all] == list(mount.backend.routes.declared)


def test_a_kind_that_a_field_names_itself_is_what_coerces_it() -> None:
    class Timed(Params, frozen=True):
        ttl: Annotated[int | None, FieldKind("duration"), Doc("How long.")] = None

    class Fine(Engine):
        @write("x")
        async def change(self, call: Call, params: Timed) -> None:
            """Change."""

    (route,) = Fine.routes
    assert route.parameters["ttl"].kind.name == "duration"


def test_parameters_show_no_value() -> None:
    assert repr(Named(name="hunter2")) == "Named(…)"
