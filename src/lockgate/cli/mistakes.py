"""Mistakes that no room sees, as errors of ours: a wrong command line, no answer, the system's refusals."""

import errno
import re
from difflib import get_close_matches
from typing import Any

from lockgate.core.errors import HostError, InputError, LockgateError


class CommandLineError(InputError):
    """The command line is not what the command takes."""

    code = "LG-1f21"
    advice = "`lockgate --help` lists the commands; each has a --help of its own."


class NotAnsweredError(InputError):
    """A command asked something, and nobody answered."""

    code = "LG-1f22"
    advice = "Nothing was signed or changed. Run it in a terminal, or give the answer by its option (--help)."


class SystemRefusedError(HostError):
    """The operating system refused what a command needs."""

    code = "LG-5f22"
    advice = "Mend what the sentence names, and run the same command again: what was finished is not lost."


_UNKNOWN = re.compile(r"(No such command '([^']*)'\.).*")
_BY_ERRNO = {
    errno.ENOSPC: "Free space there, or name another folder, and run the same command again.",
    errno.EDQUOT: "Free space there, or have the quota raised, and run the same command again.",
    errno.EACCES: "Give this user the right to it, or run the command as the user that owns the home.",
    errno.EPERM: "Give this user the right to it, or run the command as the user that owns the home.",
    errno.EROFS: "It is mounted read-only. Name a folder that may be written.",
    errno.EMFILE: "Raise the limit of open files (`ulimit -n`), and run the same command again.",
    errno.EADDRINUSE: "Another program listens there. Stop it, or set another port (`config explain`).",
    errno.EIO: "The medium fails. Read it on another drive, or fetch another copy.",
}


def misused(error: Any) -> CommandLineError:
    """Return a usage error of the parser of command lines with the command that it is about."""
    context = getattr(error, "ctx", None)
    what = " ".join(str(error.format_message()).split())
    if context is None:
        return CommandLineError(what)
    path = str(context.command_path)
    advice = f"`{path} --help` says what it takes."
    if unknown := _UNKNOWN.fullmatch(what):
        what = unknown[1]
        near = get_close_matches(unknown[2], context.command.list_commands(context), n=2)
        meant = " or ".join(f"`{path} {each}`" for each in near)
        advice = f"Did you mean {meant}? {advice}" if near else advice
    usage = " ".join(str(context.get_usage()).removeprefix("Usage:").split())
    return CommandLineError(what, advice=advice, Usage=usage)


def explained(error: Exception) -> LockgateError:
    """Return any exception as an error of ours; what nobody expected asks for a report."""
    if isinstance(error, LockgateError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        named = f"{error.filename}: " if error.filename is not None else ""
        what = f"The system refused: {named}{error.strerror}."
        return SystemRefusedError(what, advice=_BY_ERRNO.get(error.errno))
    return LockgateError(f"Something unexpected happened: {type(error).__name__}: {error}")
