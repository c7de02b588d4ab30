"""What a value of JavaScript can be known as: the marks that `script_marks` lets go along a source."""

(
    KEPT,
    READ,
    MACHINE,
    NET,
    COMMANDS,
    DECODED,
    PIECES,
    HOME,
    LISTED,
    STAYS,
    RUNNER,
    DNS,
    LOADS,
    CARRIER,
    OTHERS,
    SPELLED,
    ASKED,
    HOST,
    SECRET,
    SAVED,
    OPENS,
) = range(21)
"""In this order: a kept place, what was read there, facts of the machine, an answer, what starts programs,
what was decoded, a name in pieces, a home, what lies in it, where programs start by themselves, what runs
code, questions for names, what loads modules, a file of no code, another package, an address in code, a
command that asks a keeper of secrets, the service of a cloud's host, a key that a function is given, a file
that was fetched, a key that lets its owner in."""
MARKS = 21
