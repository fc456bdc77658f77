"""The commands of docs/commands.md: usage, help and parameters of `wipectl` and `wiped`, and the exit codes of both."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cyclopts import App

from tests.documents import sources
from tests.documents.markdown import cell, code, command_line, prose, table


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `names`: an option's spellings, or one word in capitals for a place. `default` "" for none; `choices` () for free text."""

    names: tuple[str, ...]
    meaning: str
    required: bool
    default: str
    choices: tuple[str, ...]
    flag: bool
    repeats: bool

    @property
    def usage(self) -> str:
        """As the usage line shows it."""
        first = self.names[0]
        words = "|".join(self.choices)
        if len(words) > _MOST_WORDS:
            words = first.lstrip("-").upper()
        if not first.startswith("--"):
            shown = words or first
        else:
            shown = first if self.flag else f"{first} {words or _METAVARS.get(first, 'TEXT')}" + (" ..." if self.repeats else "")
        return shown if self.required else f"[{shown}]"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of `wipectl`; `group` is its noun, "" for a verb."""

    name: str
    group: str
    help: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """The line to type."""
        return " ".join(["wipectl", self.name, *(each.usage for each in self.parameters)])


#: Longer choices are shown beside the parameter alone.
_MOST_WORDS = 40
#: What stands for the value of an option whose value is not just any text.
_METAVARS = {
    "--account": "REF", "--reference": "REF", "--confirm": "NAME", "--starts": "TIME", "--expires": "TIME", "--until": "TIME", "--at": "TIME",
    "--from": "TIME", "--to": "TIME", "--key": "PUB.pem", "--output-file": "FILE", "--last": "N", "--fingerprint": "SHA256", "--phone": "PHONE",
    "--subscription": "ID", "--policy": "NAME", "--state": "STATE", "--socket": "PATH",
}  # fmt: skip


def _parameters(app: App) -> Iterator[Parameter]:
    for argument in app.assemble_argument_collection():
        if not argument.parse:
            continue
        default = argument.field_info.default
        shown = "" if argument.required or default in ("", None, False) else str(default)
        flag = argument.hint is bool or bool(argument.negatives)
        yield Parameter(
            names=tuple(argument.names),
            meaning=argument.parameter.help or "",
            required=argument.required,
            default=shown,
            choices=() if flag else tuple(argument.get_choices() or ()),
            flag=flag,
            repeats=any(part is list for part in (getattr(argument.hint, "__origin__", None),)),
        )


def commands() -> list[Command]:
    """Every command of `wipectl`, in the order of its help."""
    app: Any = sources.make_app()
    found = []
    for name in sources.command_names():
        group, _, verb = name.partition(" ")
        inner = app[group][verb] if verb else app[group]
        found.append(Command(name, group if verb else "", inner.help, tuple(_parameters(inner))))
    return found


def daemon_commands() -> dict[str, tuple[str, str]]:
    """Command of `wiped` -> (usage, help)."""
    parser = sources.daemon._parser()
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    found = {}
    for name, command in subparsers.choices.items():
        options = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]
        usage = " ".join(["wiped", name, *(f"[{' '.join(filter(None, (option.option_strings[0], option.metavar)))}]" for option in options)])
        found[name] = (usage, command.description)
    return found


def exit_codes() -> dict[int, str]:
    """Exit code -> what it means, as the help of `wipectl` says it."""
    said = " ".join(str(sources.make_app().help_epilogue).split())
    return {int(number): meaning for number, meaning in re.findall(r"\b(\d+) ([^;.]+)", said)}


def commands_block() -> str:
    """Usage, help and parameters, the verbs first, then noun by noun."""
    app: Any = sources.make_app()
    parts: list[str] = []
    group = None
    for command in commands():
        if command.group != group:
            group = command.group
            parts.append(f"### {group.capitalize()}\n\n{prose(app[group].help)}" if group else "### One phone, and the host")
        parts.append(f"#### `wipectl {command.name}`\n\n{command_line(command.usage)}\n\n{prose(command.help)}")
        if command.parameters:
            rows = ((", ".join(map(code, each.names)), _needed(each), cell(each.meaning) + _choices(each)) for each in command.parameters)
            parts.append(table(("parameter", "", "meaning"), rows))
    return "\n\n".join(parts)


def _choices(parameter: Parameter) -> str:
    return f"; one of {', '.join(map(code, parameter.choices))}" if parameter.choices else ""


def _needed(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    return f"default {code(parameter.default)}" if parameter.default else ""


def daemon_block() -> str:
    """The commands of `wiped`."""
    return table(("command", "meaning"), ((code(usage), cell(said)) for usage, said in daemon_commands().values()))


def exit_codes_block() -> str:
    """Exit code, meaning, and the error codes that lead there."""
    codes: dict[int, list[str]] = {number: [] for number in exit_codes()}
    for name, (_, kind) in sources.error_codes().items():
        codes[kind.exit_code].append(name)
    rows = ((str(number), cell(exit_codes()[number]), ", ".join(map(code, names))) for number, names in codes.items())
    return table(("exit code", "meaning", "error codes"), rows)
