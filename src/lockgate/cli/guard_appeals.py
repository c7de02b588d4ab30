"""``lockgate guard appeal``, ``appeals`` and ``replay``: against a guard's decision, and what comes of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lockgate.cli.shared import HomeOption, JsonOption, draw_list, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lockgate.guard.appeals import Appeal, Passage
    from lockgate.guard.replay import Comparison

app = typer.Typer(help="Appeals against the guards: list, show, decide.")

NOT_SAFE = 4
_SHOWN = 2000

Number = Annotated[int, typer.Argument(help="The appeal's number.")]
Auditor = Annotated[
    Path | None, typer.Option("--auditor-key", help="Folder of an auditor's key, where texts are sealed.")
]


def appeal(
    receipt: Annotated[str, typer.Argument(help="The receipt's id, as the error or the answer names it.")],
    reason: Annotated[str, typer.Option(help="Why it was harmless; a reviewer reads it.")],
    request: Annotated[
        Path | None, typer.Option(help="The request as it was sent (JSON), where texts are not kept.")
    ] = None,
    text: Annotated[Path | None, typer.Option(help="Its one user turn, in place of the request.")] = None,
    answer: Annotated[
        Path | None, typer.Option(help="The answer as it came, where that was altered.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the API key (or LOCKGATE_API_KEY in the environment).")
    ] = None,
    url: Annotated[str, typer.Option(help="The gateway (default: that of the home).")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Appeal against what a guard did to your own request or answer. A person decides; no guard changes.

    Example: lockgate guard appeal 0123456789abcdef0123456789abcdef --reason "a manual" --text turn.txt
    --key-file api-key --home lane/high
    """
    import json

    from lockgate.app.files import NamedFileError, read_named
    from lockgate.app.high.ask import asked

    body: dict[str, Any] = {"receipt": receipt, "reason": reason}
    if request is not None:
        try:
            body["request"] = json.loads(read_named(request))
        except (ValueError, RecursionError) as error:
            what = f"{request} is no JSON: {error}."
            raise NamedFileError(what) from error
    for name, file in (("text", text), ("answer", answer)):
        if file is not None:
            body[name] = read_named(file).decode("utf-8", "replace")
    value = asked(_gateway(key_file, url, home), "/lockgate/appeals", body)
    emit(as_json, value, lambda out: out.print(f"Appeal {value['number']} waits for a reviewer"))


def _gateway(key_file: Path | None, url: str, home: Path | None) -> Any:
    """Return the gateway that is asked, with the caller's key."""
    import os

    from lockgate.app.files import read_named
    from lockgate.app.high.ask import Gateway, GatewayRefusedError
    from lockgate.app.high.high import address
    from lockgate.app.high.tls import tls_of
    from lockgate.app.settings import load_settings
    from lockgate.app.trust import utc_now

    key = os.environ.get("LOCKGATE_API_KEY", "")
    if key_file:
        key = read_named(key_file).decode("utf-8", "replace").strip()
    if not key:
        raise GatewayRefusedError("No API key was given.", advice="Give the one that asked: --key-file.")
    if url:
        return Gateway(url, key)
    side = load_settings(home)
    tls = tls_of(side, utc_now())
    return Gateway(f"{address(side, 'gateway')}/v1", key, tls.client() if tls else None)


@app.callback(invoke_without_command=True)
def appeals(ctx: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Appeals against the guards: list, show, decide."""
    if ctx.invoked_subcommand is None:
        list_(state="", home=home, as_json=as_json)


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="open, granted or refused (default: all).")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the appeals: whose, what guards met, and what became of each.

    Example: lockgate guard appeals list --state open --home lane/high
    """
    from rich.table import Table

    from lockgate.app.high.appeals import appeals_of
    from lockgate.app.settings import load_settings
    from lockgate.cli.shared import escape
    from lockgate.guard.appeals import AppealState

    if state and state not in set(AppealState):
        what = f"{state!r} is none of {', '.join(AppealState)}."
        raise typer.BadParameter(what)
    found = [e for e in appeals_of(load_settings(home).require("high")).all() if state in {"", e.state}]

    def render(out: Any) -> None:
        table = Table("appeal", "state", "by", "met", "reason", "created")
        for each in found:
            met = ", ".join(dict.fromkeys(f"{m.where} {m.what}" for m in each.findings))
            made = f"{each.created:%Y-%m-%d %H:%M}"
            row = (each.name, met[:120], ascii(each.reason)[1:-1][:120])
            table.add_row(str(each.number), each.state, *[escape(one) for one in row], made)
        draw_list(out, table, "No appeal")

    emit(as_json, [_value(each) for each in found], render)


@app.command()
def show(
    number: Number, auditor: Auditor = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show one appeal: rule, score, channel, the texts, and what the guards of now decide about each.

    That a sealed text was opened stands in the audit log.

    Example: lockgate guard appeals show 3 --auditor-key people/auditor --home lane/high
    """
    from lockgate.app.high.appeals import appeals_of, read_texts, ruled_now
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    found, passages = appeals_of(side).get(number), None
    now: list[dict[str, Any]] = []
    if found.sealed is None or auditor is not None:
        found, passages = read_texts(side, number, auditor)
        pairs = zip(passages, ruled_now(side, number, passages), strict=True)
        now = [_ruling(passage.channel, ruling) for passage, ruling in pairs]
    value = {**_value(found, passages), "now": now}

    def render(out: Any) -> None:
        from lockgate.cli.shared import escape

        for name, said in value.items():
            if name not in {"findings", "texts", "now"}:
                out.print(f"[bold]{name}[/] {escape(ascii(said) if isinstance(said, str) else str(said))}")
        for met in value["findings"]:
            out.print(f"[bold]{met['where']}[/] {escape(met['what'])}: {met['action']}, {met['count']} times")
        for text, ruled in zip(value["texts"] or (), now, strict=True):
            shown = escape(ascii(text["text"])[1:-1][:_SHOWN])
            rules = ", ".join(ruled["rules"]) or "nothing"
            out.print(f"[bold]{text['channel']}[/] now: {ruled['outcome']} ({rules})\n  {shown}")
        if value["texts"] is None:
            out.print("The texts are sealed: name an auditor's key with --auditor-key")

    emit(as_json, value, render)


@app.command()
def decide(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why; whoever appealed reads it.")],
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    grant: Annotated[bool, typer.Option("--grant/--refuse", help="It was harmless, or it was not.")],
    auditor: Auditor = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Grant or refuse an appeal. A granted one loosens nothing: its texts become cases of the site's own set.

    Replays and red teams judge guards by that set; it holds the texts in clear.

    Example: lockgate guard appeals decide 3 --grant --reason "a manual" --key people/operator
    --home lane/high
    """
    from lockgate.app.gate.gate import operator_key
    from lockgate.app.high.appeals import decide as settle
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    reviewer = operator_key(side, key)
    decided = settle(side, number, grant=grant, reason=reason, reviewer=reviewer.person, auditor=auditor)
    emit(as_json, _value(decided), lambda out: out.print(f"Appeal {number} is {decided.state}"))


def replay(
    proposed: Annotated[
        Path | None, typer.Option(help="File with the proposed [guard] section (default: as it is now).")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Proposed weights of the classifier.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Decisions that another release kept: what was before.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Where the decisions go, for another release.")] = None,
    number: Annotated[list[int] | None, typer.Option("--appeal", help="Only this appeal.")] = None,
    auditor: Auditor = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay appealed texts, the site's own set and the known attacks against proposed guards.

    Says which decisions change, and which attacks the change would let through. Ends with status 4 when it
    lets any through, or stops a case of the site's own set. It changes nothing.

    Example: lockgate guard replay --proposed guards.toml --auditor-key people/auditor --home lane/high
    """
    from lockgate.app.high.appeals import keep_rulings, replayed
    from lockgate.app.high.appeals import replay as run
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    items, sealed = replayed(side, auditor, number or ())
    found, rulings = run(side, items, proposed=proposed, weights=weights, against=against)
    if keep is not None:
        keep_rulings(keep, rulings)
    value = {**_compared(found), "texts": len(items), "sealed": sealed, "guards": rulings.guards}

    def render(out: Any) -> None:
        before, after = found.stopped_attacks
        out.print(f"{found.attacks} attacks: {before} blocked before, {after} after")
        for word in ("changed", "let_through", "caught"):
            for row in value[word]:
                said = f"{row['source']} {row['id']} ({row['channel']}): {row['before']} -> {row['after']}"
                out.print(f"{word.replace('_', ' ')} {said}")
        for row in value["stopped"]:
            out.print(f"[red]stopped[/] a text of the site's own set, from appeal {row['id']}")
        if sealed:
            out.print(f"{sealed} appeals were left out: their texts are sealed (--auditor-key)")

    emit(as_json, value, render)
    if not found.safe:
        raise typer.Exit(NOT_SAFE)


def auditor_key(
    folder: Annotated[Path, typer.Argument(help="Where the key goes, on the auditor's own machine.")],
    as_json: JsonOption = False,
) -> None:
    """Make an auditor's key. Its public half is named under [guard] auditors on the high side.

    Example: lockgate guard auditor-key people/auditor
    """
    from lockgate.app.high.appeals import make_auditor_key

    public = make_auditor_key(folder)
    emit(as_json, {"public": public}, lambda out: out.print(f"Public half: {public}"))


def _value(appeal: "Appeal", passages: "Sequence[Passage] | None" = None) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(appeal)
    found.pop("passages")
    sealed = found.pop("sealed") is not None
    texts = appeal.passages if passages is None and not sealed else passages
    return {**found, "sealed": sealed, "texts": None if texts is None else msgspec.to_builtins(texts)}


def _ruling(channel: str, ruling: Any) -> dict[str, Any]:
    return {
        "channel": channel,
        "outcome": ruling.outcome.value,
        "rules": list(ruling.rules),
        "score": ruling.score,
    }


def _compared(found: "Comparison") -> dict[str, Any]:
    def row(each: Any) -> dict[str, str]:
        before, after = each.before.outcome.value, each.after.outcome.value
        return {**_item(each.item), "before": before, "after": after}

    return {
        "changed": [row(each) for each in found.changed],
        "let_through": [row(each) for each in found.let_through],
        "caught": [row(each) for each in found.caught],
        "stopped": [_item(each) for each in found.stopped],
        "attacks": found.attacks,
        "attacks_blocked": {"before": found.stopped_attacks[0], "after": found.stopped_attacks[1]},
        "safe": found.safe,
    }


def _item(item: Any) -> dict[str, str]:
    return {"source": item.source, "id": item.id, "channel": item.passage.channel}
