"""One module per kind of content; `lockgate.inspect.registry` says which detected type goes where."""
