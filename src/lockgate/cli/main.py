"""The command ``lockgate``: groups are imported only when they are used, so that help is fast."""

import importlib
import os
import sys
from typing import Annotated, Any, cast

import typer
import typer.core
import typer.main
from typer.exceptions import TyperException

import lockgate
from lockgate.cli.mistakes import NotAnsweredError, explained, misused
from lockgate.core.errors import LockgateError

# name → (module, one line for the overview)
COMMANDS = {
    "lane": ("lockgate.cli.lane", "Make a lane: two homes, two roots, keys for roles and people."),
    "root": ("lockgate.cli.root", "Make, sign, rotate and show the two roots; revoke keys."),
    "manifest": ("lockgate.cli.manifest", "Begin, check and explain a manifest (low side)."),
    "collect": ("lockgate.cli.collect", "Resolve and fetch what a manifest names (low side)."),
    "profile": ("lockgate.cli.profile", "Tell the low side what a host of the high side is."),
    "rehearse": ("lockgate.cli.rehearse", "Try what was collected on a throw-away high side (low side)."),
    "seal": ("lockgate.cli.seal", "Seal what was collected into a crate (low side)."),
    "custody": ("lockgate.cli.custody", "Sign hand-overs of a crate's package, check and show its way."),
    "media": ("lockgate.cli.media", "Write crates to media, read them, and keep track of media."),
    "station": (
        "lockgate.cli.station",
        "Show crates to a scanner that you are told to use, and sign what it says.",
    ),
    "repair": ("lockgate.cli.repair", "Check and repair a crate by its parity, without keys."),
    "diode": ("lockgate.cli.diode", "Send and receive crates over a one-way link."),
    "receive": ("lockgate.cli.receive", "Verify a crate and move its contents to quarantine (high side)."),
    "gate": ("lockgate.cli.gate", "Inspect, request, publish, reject, roll back (high side)."),
    "canary": ("lockgate.cli.canary", "Try what is on candidate, and sign what was seen."),
    "approve": ("lockgate.cli.approve", "Show and sign a statement with an approver's key."),
    "request": ("lockgate.cli.request", "Ask for what is missing, and follow it until it is there."),
    "submit": ("lockgate.cli.submit", "Bring what was made inside to the gate."),
    "receipt": ("lockgate.cli.receipt", "Tell the low side how a crossing ended, and read what it says."),
    "high": ("lockgate.cli.high", "Start, stop and watch the services of the high side."),
    "ca": ("lockgate.cli.ca", "Certificates for the services and for those who call them."),
    "mirror": ("lockgate.cli.mirror", "Serve packages, images and models from the signed snapshot."),
    "deliver": ("lockgate.cli.deliver", "Bring what is served to a registry or folder that the site owns."),
    "target": ("lockgate.cli.target", "Fill and compare registries and folders that the site owns."),
    "client-config": (
        "lockgate.cli.client_config",
        "Print configuration for the mirrors' clients.",
    ),
    "lockfile": ("lockgate.cli.lockfile", "Rewrite lock files that name other hosts."),
    "models": ("lockgate.cli.models", "List models, what is known of them, and who answers for a name."),
    "golden": ("lockgate.cli.golden", "Golden prompts: record, check and compare a model's answers."),
    "gateway": ("lockgate.cli.gateway", "Serve language models through the OpenAI API."),
    "console": ("lockgate.cli.console", "Serve the web console."),
    "knowledge": ("lockgate.cli.knowledge", "Index admitted documents and search them."),
    "leak": ("lockgate.cli.leak", "Measure what sizes and times of answers tell an observer."),
    "guard": ("lockgate.cli.guard", "Try the guards, answer calls of tools that wait, appeal."),
    "redteam": (
        "lockgate.cli.redteam",
        "Attack a model behind the gateway, and compare with the version before.",
    ),
    "ask": ("lockgate.cli.ask", "Ask the gateway a question and show answer, sources and receipt."),
    "policy": (
        "lockgate.cli.policy",
        "The site's policy and admission rules; what profiles demand.",
    ),
    "provenance": ("lockgate.cli.provenance", "Trust roots that signatures are judged by."),
    "clock": ("lockgate.cli.clock", "Show the clock's floor and holds; accept a clock with two approvals."),
    "who": ("lockgate.cli.who", "Say who let a file, package, model or answer in, and prove it."),
    "audit": ("lockgate.cli.audit", "Verify the log, print checkpoints, make and check proofs."),
    "witness": ("lockgate.cli.witness", "Cosign checkpoints, on another host with its own key."),
    "tuf-client": ("lockgate.cli.tuf_client", "Read a repository of The Update Framework."),
    "inspect": ("lockgate.cli.inspect", "Inspect any file in the sandbox."),
    "advisories": ("lockgate.cli.advisories", "Load vulnerability data and ask it about packages."),
    "exposure": ("lockgate.cli.exposure", "Show how exposed what is served is, and since when."),
    "cadence": ("lockgate.cli.cadence", "Show planned crossings, as a calendar too, and missed ones."),
    "keep": ("lockgate.cli.keep", "Say what need not cross again, by one bit for each artifact."),
    "low": ("lockgate.cli.low", "Turn what the high side wants into a manifest (low side)."),
    "isolate": ("lockgate.cli.isolate", "Make an isolated namespace and prove what leaves it."),
    "backup": ("lockgate.cli.backup", "Copy records, log, channels and trust, under a signed manifest."),
    "restore": ("lockgate.cli.restore", "Restore a backup, with two approvals; nothing goes back in time."),
    "agent": ("lockgate.cli.agent", "Keep a token's PIN in memory for your own commands."),
    "update": ("lockgate.cli.update", "Update Lockgate itself: try, activate, go back."),
    "store": ("lockgate.cli.store", "Look after the blobs of a side."),
    "config": ("lockgate.cli.config", "Show and explain the configuration."),
    "doctor": ("lockgate.cli.doctor", "Check what this machine has and lacks."),
}

# heading → commands, in the order of a byte's way
PANELS = {
    "A lane": ("lane", "root", "config", "doctor", "agent"),
    "The low side": ("manifest", "collect", "profile", "rehearse", "seal", "low"),
    "Across the gap": ("custody", "media", "station", "repair", "diode", "receipt", "keep", "cadence"),
    "The gate, on the high side": (
        *("receive", "gate", "approve", "canary", "request", "submit", "inspect"),
        *("policy", "provenance", "advisories", "exposure"),
    ),
    "What is served, on the high side": (
        *("high", "mirror", "gateway", "console", "knowledge", "ask", "models", "golden", "guard", "redteam"),
        *("leak", "ca", "client-config", "lockfile", "target", "deliver"),
    ),
    "Proof": ("who", "audit", "witness", "isolate", "clock"),
    "Upkeep": ("backup", "restore", "store", "update", "tuf-client"),
}
_HEADING = {name: heading for heading, names in PANELS.items() for name in names}
_COMPLETION = ("install_completion", "show_completion")


class LazyGroup(typer.core.TyperGroup):
    """A command group whose members are imported when one of them runs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of a byte's way."""
        del ctx
        return list(_HEADING)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a stand-in with name and one line of help, enough for the overview."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return typer.core.TyperCommand(cmd_name, help=entry[1], rich_help_panel=_HEADING[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that the arguments name."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        if name is None or stand_in is None:
            return name, stand_in, rest
        module = importlib.import_module(COMMANDS[name][0])
        command = typer.main.get_command(module.app)
        command.name = name
        # Completion is of the whole program; a group of its own would offer it again.
        command.params = [each for each in command.params if each.name not in _COMPLETION]
        return name, command, rest

    def main(
        self,
        args: Any = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; a wrong one, and a question that nobody answers, are errors of ours."""
        del prog_name
        extra |= {"complete_var": complete_var, "windows_expand_args": windows_expand_args}
        extra |= {"prog_name": "lockgate", "standalone_mode": False}
        if not standalone_mode:
            return super().main(args, **extra)
        try:
            ended = super().main(args, **extra)
        except typer.Abort as error:
            raise NotAnsweredError("The question was not answered with yes.") from error
        except TyperException as error:
            if type(error).__name__ == "NoArgsIsHelpError":  # typer gives it no public name
                cast("Any", error).show()
                sys.exit(error.exit_code)
            raise misused(error) from error
        sys.exit(ended if isinstance(ended, int) else 0)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="AI inside a closed network, and everything it needs brought across the gap.",
    epilog="Start with `make demo`, or read docs/getting-started.md.",
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"lockgate {lockgate.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    from lockgate.app.logs import configure_logs

    del version
    configure_logs()
    ctx.obj = {"debug": debug}


def _explain(error: LockgateError, as_json: bool) -> None:
    if os.environ.get("LOCKGATE_SUPERVISED"):  # standard error is a log
        from lockgate.app.logs import tell_end

        tell_end(error)
        return
    if as_json:
        import json

        sys.stderr.write(json.dumps(error.as_dict()) + "\n")
        return
    from lockgate.cli.shared import err, escape
    from lockgate.core.visible import shortened

    err.print(f"[bold red]{error.code}[/] {escape(shortened(error.what))}")
    for key, value in error.where.items():
        err.print(f"  {escape(key)}: {escape(shortened(str(value)))}", style="dim")
    err.print(f"  [bold]What to do:[/] {escape(error.what_to_do)}")


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; errors of ours end it with their sentence, advice and own status."""
    args = sys.argv[1:] if arguments is None else arguments
    try:
        return app(args)
    except Exception as error:
        if "--debug" in args:
            raise
        known = explained(error)
    _explain(known, "--json" in args)
    sys.exit(known.exit_status)


if __name__ == "__main__":
    main()
