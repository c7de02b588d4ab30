"""Graphs of TensorFlow: SavedModel (``saved_model.pb``) and frozen graphs, with every field of every message.

What a graph computes is done by operators of the runtime, and some of them read and write any file, open
connections or call Python: a graph with one of them acts when it is run, and often already when it is loaded.
The weights of a SavedModel lie beside it, in files of their own.
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import data_signs
from lockgate.inspect.inspectors.graph_fields import MESSAGES, graph_kind
from lockgate.inspect.inspectors.hidden_programs import look_for_calls, look_inside
from lockgate.inspect.inspectors.protobuf import Walk, fields
from lockgate.inspect.inspectors.strings import look
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

ACTS = {
    **dict.fromkeys(("ReadFile", "ImmutableConst"), "reads any file"),
    **dict.fromkeys(("MatchingFiles", "MatchingFilesDataset"), "lists files"),
    **dict.fromkeys(
        ("WriteFile", "DatasetToTFRecord", "DatasetToTFRecordV2", "SaveDataset", "SaveDatasetV2",
         "WriteGraphSummary", "WriteRawProtoSummary", "CreateSummaryFileWriter", "CreateSummaryDbWriter",
         "DistributedSave"), "writes files"),
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunction"), "calls Python"),
    **dict.fromkeys(
        ("RpcCall", "RpcClient", "RpcServer", "RpcServerStart", "RpcServerRegister", "DataServiceDataset",
         "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4", "RegisterDataset",
         "RegisterDatasetV2", "BigQueryReader"), "opens connections"),
}  # fmt: skip
"""Operators that reach out of the graph, and what they do."""
_READERS = re.compile(
    r"(?:TextLine|TFRecord|FixedLengthRecord|WholeFile|LMDB|CSV|Sql)(?:Reader|Dataset)(?:V\d)?"
)
_TO_FILE = re.compile(rb"(?:file|gs|s3|hdfs|grpc|https?)://")
_ADDRESSED = frozenset(
    {"PrintV2", "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"}
)
"""Operators that write where an attribute says."""
_OPERATOR, _ATTRIBUTE = 2, 5
_ASSET_NAME = 2
_MOST_SAID = 20_000


class GraphInspector(Inspector):
    """Walks the whole message tree; what operators do outside of the graph is a finding."""

    name = "tensorflow"
    version = 2
    detects = frozenset({"tensorflow"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the file when each field of each message is known and well formed."""
        tally.opaque.add("tensorflow")
        walker = _Walk(data, tally, context)
        walker.message(graph_kind(data) or "Graph", 0, len(data))
        look_for_calls(tally, data)
        said = "\n".join(walker.said)
        data_signs.search(tally, said)
        data_signs.settings(tally, said)
        look(tally, walker.said, context)
        if not walker.unknown:
            tally.claim_all()


class _Walk(Walk):
    format = "tensorflow"
    messages = MESSAGES
    deepest = 100

    def __init__(self, data: memoryview, tally: Tally, context: Context) -> None:
        super().__init__(data, tally, context)
        self.said: list[str] = []
        self.told: set[str] = set()

    def found(self, name: str, number: int, wire: int, at: int, stop: int) -> None:
        """Wait for the end of the message: what a node does, several of its fields say together."""

    def ended(self, name: str, start: int, end: int) -> None:
        if name == "Node":
            self.node(start, end)
        elif name == "AssetFile":
            self.asset(start, end)

    def text(self, said: str) -> None:
        if len(self.said) < _MOST_SAID and " " in said:
            self.said.append(said)

    def raw(self, at: int, stop: int) -> None:
        look_inside(self.tally, self.data[at:stop], "a tensor or attribute", at)

    def node(self, start: int, end: int) -> None:
        """Note an operator that reaches out of the graph, each once."""
        operator, texts = "", list[bytes]()
        for number, _, at, stop in fields(self.data, start, end):
            if number == _OPERATOR:
                operator = bytes(self.data[at:stop]).decode("utf-8")
            elif number == _ATTRIBUTE:
                texts.append(bytes(self.data[at : min(stop, at + 500)]))
        what, severity = ACTS.get(operator, ""), Severity.HIGH
        if operator in _ADDRESSED and any(map(_TO_FILE.search, texts)):
            what = "writes where an attribute of it says"
        elif not what and _READERS.fullmatch(operator):
            what, severity = "reads files", Severity.MEDIUM
        if what and operator not in self.told:
            self.told.add(operator)
            self.tally.note("tensorflow-operation", severity, f"The operator {operator} {what}.", start)

    def asset(self, start: int, end: int) -> None:
        """Note a file of the model that is to be looked for outside of it."""
        for number, _, at, stop in fields(self.data, start, end):
            name = bytes(self.data[at:stop]).decode("utf-8", "replace") if number == _ASSET_NAME else ""
            if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or "://" in name:
                self.tally.note(
                    "tensorflow-external", Severity.HIGH, f"It has a file outside of it read: {name[:80]}", at
                )
