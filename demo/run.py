"""The demonstration: one lane, one crossing, five questions, and the proof of all of it.

Every step is a command that a user would type; this script types them, times them and writes
the report. Run it with `make demo`; what is done already is not done again.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from steps.clients import ask_questions, install_clients
from steps.crossing import admit, collect, seal
from steps.ending import print_end, prove, write_report
from steps.memory import MemoryWatch
from steps.shell import Shell, Stop
from steps.site import isolate, make_lane, start_services, stop_services

HERE = Path(__file__).resolve().parent


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where everything is made")
    parser.add_argument("--clean", action="store_true", help="stop the services and remove the folder")
    parser.add_argument("--unisolated", action="store_true", help="do not use a network namespace")
    parser.add_argument("--stop", action="store_true", help="stop the services when the demo ends")
    parser.add_argument("--ask", action="append", default=[], help="one more question (repeatable)")
    return parser.parse_args()


def main() -> int:
    """Run every step; return the exit status."""
    options = _options()
    folder = options.folder.resolve()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    shell = Shell(folder)
    if options.clean:
        stop_services(shell)
        shutil.rmtree(folder, ignore_errors=True)
        print(f"Removed {options.folder}.")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    watch = MemoryWatch(shell.high)
    try:
        make_lane(shell)
        collect(shell, HERE / "demo.toml")
        seal(shell)
        isolate(shell, wanted=not options.unisolated)
        admit(shell)
        start_services(shell)
        install_clients(shell)
        answers = ask_questions(shell, HERE / "questions.toml", options.ask)
        proof = prove(shell, answers)
        shell.remember(peak_bytes=max(watch.stop(), shell.facts.get("peak_bytes", 0)))
        report = write_report(shell, answers, proof)
    except Stop as reason:
        print(f"\nThe demonstration stopped: {reason}", file=sys.stderr)
        return 1
    print_end(shell, answers, proof, report)
    if options.stop:
        stop_services(shell)
    return 0


if __name__ == "__main__":
    sys.exit(main())
