"""Flags made from the fields of ``RunConfig``: a setting is defined there and nowhere else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, Optional, get_args, get_origin

import typer

from evonet.config import RunConfig, flag_of, setting_panel, setting_types


def with_settings(
    *panels: str, also: Collection[str] = (), defaults: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a flag for each setting of some panels of ``RunConfig``, and some others.

    The command takes them as ``**settings``: only those that the user passed.

    Args:
        panels: headings of the help.
        also: names of other settings.
        defaults: whether the help says what holds for those that are not passed.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        names = [
            name for name in RunConfig.model_fields if setting_panel(name) in panels or name in also
        ]

        def wrapper(**values: Any) -> None:
            passed = {n: values.pop(n) for n in names}
            command(**values, settings={n: v for n, v in passed.items() if v is not None})

        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != "settings"]
        wrapper.__signature__ = inspect.Signature([*own, *(_flag(n, defaults) for n in names)])  # type: ignore[attr-defined]
        wrapper.__doc__ = command.__doc__
        return wrapper

    return decorate


def _flag(name: str, defaults: bool) -> inspect.Parameter:
    """The command-line parameter of a setting: None unless it is passed."""
    field = RunConfig.model_fields[name]
    kind = setting_types()[name]
    several = get_origin(kind) is tuple
    if several:
        kind = list[str]
    elif get_origin(kind) is not Literal and get_args(kind):  # "int | None" is an int, if passed
        kind = next(part for part in get_args(kind) if part is not type(None))
    unsaid = not defaults or field.default is None or several or kind is bool
    default = "" if unsaid else f" (default: {field.default})"
    flag = flag_of(name)
    option = typer.Option(
        f"{flag}/--no-{flag.removeprefix('--')}" if kind is bool else flag,
        help=f"{field.description}{default}",
        rich_help_panel=setting_panel(name),
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Optional[kind], option],  # noqa: UP045 - `kind` is a variable
    )
