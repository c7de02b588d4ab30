"""For all tests: properties are tried with the same examples on every machine, however slow it is.

`--hypothesis-profile=default` looks elsewhere each time.
"""

from hypothesis import settings

settings.load_profile("ci")
