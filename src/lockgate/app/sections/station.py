"""The section of a transfer station."""

from typing import Literal

from pydantic import Field

from lockgate.app.sections.base import Section


class StationSection(Section):
    """Which scanner a transfer station shows crates to (station)."""

    adapter: Literal["", "command", "folder", "icap"] = Field(
        default="", description="How the scanner is spoken to: command, folder or icap."
    )
    scanner: str = Field(
        default="",
        pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$",
        description="The scanner's name in reports and in the site's policy.",
    )
    version: str = Field(default="", description="Its version, where nothing prints it.")
    version_command: str = Field(default="", description="Command that prints its version in the first line.")
    database: str = Field(
        default="", description="File or folder whose newest file dates the scanner's data."
    )
    seconds: int = Field(default=600, ge=1, le=86400, description="Time for one file.")
    largest_bytes: int = Field(
        default=100 << 20,
        ge=1 << 10,
        description="Longest file that the scanner reads whole; a longer one is never clean.",
    )
    report_days: int = Field(default=7, ge=1, le=90, description="Days that a report counts.")
    command: str = Field(
        default="", description="Command for one file, with `{file}` where its path goes; no shell is used."
    )
    clean_status: str = Field(default="0", description="Exit statuses that say that nothing was found.")
    infected_status: str = Field(default="1", description="Exit statuses that say that something was found.")
    found_pattern: str = Field(
        default=r": (.{1,200}) FOUND$",
        description="Where a line of output names what was found: a regular expression with one group.",
    )
    folder: str = Field(default="", description="The watched folder; `in/` in it is where files appear.")
    folder_answer: Literal["move", "result"] = Field(
        default="move",
        description="move: to `clean/` or `infected/`; result: a file for each in `result/`, named like it.",
    )
    result_suffix: str = Field(
        default=".txt", pattern=r"^[A-Za-z0-9._-]{0,32}$", description="Ending of a result file's name."
    )
    result_clean: str = Field(
        default="CLEAN", min_length=1, description="What the first line of a clean result begins with."
    )
    result_infected: str = Field(
        default="INFECTED", min_length=1, description="What the first line of another result begins with."
    )
    icap: str = Field(default="", description="Address of the service, as `icap://host:1344/service`.")
    icap_method: Literal["respmod", "reqmod"] = Field(
        default="respmod", description="Whether files go as downloads or as uploads."
    )
