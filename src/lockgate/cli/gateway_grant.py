"""``lockgate gateway grant``: what the people and programs that identity sources know may do here."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import HomeOption, JsonOption, draw_list, emit, escape

app = typer.Typer(no_args_is_help=True, help="What callers known to OIDC, LDAP or by certificate may do.")


class SourceName(StrEnum):
    """The sources of identities."""

    OIDC = "oidc"
    LDAP = "ldap"
    CERT = "cert"
    LOCAL = "local"


SourceArgument = Annotated[SourceName, typer.Argument(help="Which source knows them.")]
NameArgument = Annotated[str, typer.Argument(help="The group's or caller's name, as the source writes it.")]
CallerOption = Annotated[bool, typer.Option("--caller", help="The name is one caller's, not a group's.")]
IdArgument = Annotated[str, typer.Argument(help="Who, as receipts name them: `oidc:jane`, `cert:press-7`.")]


@app.command("set")
def set_(
    source: SourceArgument,
    name: NameArgument,
    label: Annotated[list[str], typer.Option(help="Label they may see; may be repeated.")],
    auditor: Annotated[bool, typer.Option("--auditor", help="They may read others' receipts too.")] = False,
    operator: Annotated[bool, typer.Option("--operator", help="They see every page of the console.")] = False,
    caller: CallerOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Grant labels to a group or a caller, in place of what they had. Gateways follow at once.

    Example: lockgate gateway grant set oidc analysts --label internal --home lane/high
    """
    import msgspec

    from lockgate.app.high.identities import set_grant
    from lockgate.app.settings import load_settings
    from lockgate.infer.identity import Holder, Role, Source, grant

    holder = Holder.CALLER if caller else Holder.GROUP
    more = ((Role.AUDITOR, auditor), (Role.OPERATOR, operator))
    roles = (Role.USER, *(role for role, given in more if given))
    given = grant(Source(source), holder, name, label, roles)
    set_grant(load_settings(home).require("high"), given)
    said = f"{source}: the {holder} {name} may see {', '.join(given.labels)}, as {', '.join(given.roles)}"
    emit(as_json, msgspec.to_builtins(given), lambda out: out.print(escape(said)))


@app.command()
def remove(
    source: SourceArgument,
    name: NameArgument,
    caller: CallerOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a grant away; whoever has no other is refused at once.

    Example: lockgate gateway grant remove oidc analysts --home lane/high
    """
    from lockgate.app.high.identities import remove_grant
    from lockgate.app.settings import load_settings
    from lockgate.infer.identity import Holder, Source

    holder = Holder.CALLER if caller else Holder.GROUP
    remove_grant(load_settings(home).require("high"), Source(source), holder, name)
    value = {"source": source.value, "who": holder.value, "name": name, "removed": True}
    emit(as_json, value, lambda out: out.print(escape(f"{source}: the {holder} {name} is granted nothing")))


@app.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what is granted, and who is shut out.

    Example: lockgate gateway grant list --home lane/high
    """
    import msgspec

    from lockgate.app.high.identities import grants_of
    from lockgate.app.settings import load_settings

    known = grants_of(load_settings(home).require("high"))

    def render(out: Console) -> None:
        table = Table("Source", "Who", "Name", "Labels", "Roles")
        for each in known.grants:
            roles = ", ".join(each.roles)
            table.add_row(each.source, each.holder, each.name, ", ".join(each.labels), roles)
        draw_list(out, table, "Nobody is named")
        for caller_id in known.shut_out:
            out.print(f"Shut out: {caller_id}")

    emit(as_json, msgspec.to_builtins(known), render)


@app.command("shut-out")
def shut_out(who: IdArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Refuse somebody at once, whatever their source says and their groups are granted.

    Example: lockgate gateway grant shut-out oidc:jane --home lane/high
    """
    from lockgate.app.high.identities import shut_out as shut
    from lockgate.app.settings import load_settings

    shut(load_settings(home).require("high"), who, out=True)
    said = f"{who} is refused from the next request on"
    emit(as_json, {"caller": who, "shut_out": True}, lambda out: out.print(escape(said)))


@app.command("let-in")
def let_in(who: IdArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Let somebody in again who was shut out.

    Example: lockgate gateway grant let-in oidc:jane --home lane/high
    """
    from lockgate.app.high.identities import shut_out as shut
    from lockgate.app.settings import load_settings

    shut(load_settings(home).require("high"), who, out=False)
    said = f"{who} may ask again, as far as it is granted anything"
    emit(as_json, {"caller": who, "shut_out": False}, lambda out: out.print(escape(said)))
