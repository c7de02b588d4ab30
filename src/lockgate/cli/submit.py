"""``lockgate submit``: what was made on the high side enters by the same gate as what crossed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, draw_list, emit

if TYPE_CHECKING:
    from rich.console import Console

    from lockgate.app.submit.folder import Outcome

app = typer.Typer(no_args_is_help=True, help="Bring what was made inside to the gate.")

Label = Annotated[str, typer.Option(help="Its label.")]
Licence = Annotated[str, typer.Option(help="Its licence, as an SPDX expression.")]


@app.command()
def add(
    path: Annotated[
        Path, typer.Argument(help="A wheel, an npm archive, a model's folder, a document, a file.")
    ],
    by: Annotated[str, typer.Option("--by", help="Who made it: a person, who cannot approve it then.")],
    label: Label = "internal",
    licence: Licence = "unknown",
    derived: Annotated[
        list[str] | None,
        typer.Option("--derived-from", help="Package URL of what it is made of; repeat it."),
    ] = None,
    model: Annotated[str, typer.Option(help="It is a model of this name: OWNER/NAME.")] = "",
    task: Annotated[str, typer.Option(help="What the model is for: chat, embed or adapter.")] = "chat",
    collection: Annotated[str, typer.Option(help="It is a document of this collection.")] = "",
    file: Annotated[str, typer.Option(help="It is a plain file of this name.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring one thing into quarantine as a submission, which the gate inspects and two people admit.

    A name that something has which crossed is refused: clients could not tell the two apart.

    Examples:
      lockgate submit add dist/tool-1.0-py3-none-any.whl --by dora --home lane/high
      lockgate submit add tuned/ --model team/tuned --by dora --home lane/high
      --derived-from pkg:huggingface/team/base@3f…
    """
    from lockgate.app.settings import load_settings
    from lockgate.app.submit.making import Offer
    from lockgate.app.submit.taking import submit

    offer = Offer(
        path=path,
        label=label,
        licence=licence,
        derived=tuple(derived or ()),
        model=model,
        task=task,
        collection=collection,
        file=file,
    )
    taken = submit(load_settings(home).require("high"), offer, by, "command")

    def show(console: "Console") -> None:
        console.print(f"Submission {taken.number}: {taken.artifact.purl}")
        console.print(f"Next: lockgate gate inspect {taken.number}")

    emit(as_json, {"number": taken.number, "purl": taken.artifact.purl}, show)


@app.command()
def image(
    reference: Annotated[str, typer.Argument(help="What was pushed: REPOSITORY:TAG, or REPOSITORY@DIGEST.")],
    by: Annotated[str, typer.Option("--by", help="Who made it: a person, who cannot approve it then.")],
    label: Label = "internal",
    licence: Licence = "unknown",
    derived: Annotated[
        list[str] | None,
        typer.Option("--derived-from", help="Package URL of what it is made of; repeat it."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit an image that was pushed into an open namespace, whole and with what refers to it.

    Once two people admitted it, it is served as `inside/REPOSITORY`. `submit watch` does this by itself for
    every tag that is pushed. Admitted images whose layers it begins with are recorded as what it is made of.

    Example: lockgate submit image team/app:1.0 --by dora --home lane/high
    """
    from lockgate.app.settings import load_settings
    from lockgate.app.submit.making import Offer
    from lockgate.app.submit.taking import submit

    offer = Offer(
        path=Path(reference), label=label, licence=licence, derived=tuple(derived or ()), image=reference
    )
    taken = submit(load_settings(home).require("high"), offer, by, "command")

    def show(console: "Console") -> None:
        console.print(f"Submission {taken.number}: {taken.artifact.purl}")
        console.print(f"Next: lockgate gate inspect {taken.number}")

    emit(as_json, {"number": taken.number, "purl": taken.artifact.purl}, show)


@app.command("list")
def list_submissions(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List submissions: who made what, of what, and how far it came.

    Example: lockgate submit list --home lane/high
    """
    from lockgate.app.settings import load_settings
    from lockgate.app.submit.taking import submissions

    found = submissions(load_settings(home).require("high"))
    value = [
        {
            "number": said.number,
            "purl": artifact.purl,
            "state": crossing.state,
            "submitter": said.submitter,
            "way": said.way,
            "derived": said.derived,
        }
        for crossing, said, artifact in found
    ]

    def show(console: "Console") -> None:
        from rich.table import Table

        table = Table("Number", "What", "State", "By", "Way", "Made of")
        for crossing, each, artifact in found:
            derived = ", ".join(each.derived) or "-"
            state = str(crossing.state)
            table.add_row(str(each.number), artifact.purl, state, each.submitter, each.way, derived)
        draw_list(console, table, "Nothing was submitted")

    emit(as_json, value, show)


@app.command()
def watch(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A folder; left out: what clients uploaded and pushed to the mirrors."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Take what is there, and end.")] = False,
    by: Annotated[
        str, typer.Option("--by", help="Who made it where nothing beside a file says so.")
    ] = "folder",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit what appears in a folder; each goes to `done/` or `refused/` below it, with what was said.

    A file is taken once it did not change between two looks. Beside `NAME` may lie `NAME.toml` with the
    keys `by`, `label`, `licence`, `derived`, `model`, `task`, `collection` and `file`.

    Examples:
      lockgate submit watch inbox --home lane/high
      lockgate submit watch --once --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.settings import load_settings
    from lockgate.app.submit.folder import take_all, watch_folder
    from lockgate.cli.shared import out

    side = load_settings(home).require("high")

    def said(outcome: "Outcome") -> None:
        if not as_json:
            out.print(outcome.sentence, markup=False)

    if once:
        found = take_all(side, folder, by, said)
        emit(as_json, [asdict(each) for each in found], lambda _: None)
        return
    watch_folder(side, folder, by, said)
