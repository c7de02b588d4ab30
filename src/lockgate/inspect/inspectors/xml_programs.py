"""What XML files run that are no archives: office documents in one file, and style sheets (XSLT).

Formats: OpenDocument 1.3, 3.1.2 (one file); Word's and Excel's XML of 2003 and Office Open XML in one file
("Flat OPC"); XSLT 1.0 with the extensions by which processors run other languages.
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import ooxml
from lockgate.inspect.tally import Tally

_HEAD = 64 << 10
_OPEN_DOCUMENT = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
_MICROSOFT = re.compile(
    r"http://schemas\.microsoft\.com/office/(?:word/2003/wordml|2006/xmlPackage)|urn:schemas-microsoft-com:office:spreadsheet"
)
_MACROS = re.compile(
    r"<office:script\b|<script:module\b|<script:library-embedded\b"
    r"|\bw:macrosPresent\s*=\s*[\"']yes[\"']|<w:(?:docSuppData|docOleData|ocx)\b|pkg:name\s*=\s*[\"'][^\"']*vbaProject"
)
_STYLE_SHEET = "http://www.w3.org/1999/XSL/Transform"
_EXTENSION = re.compile(
    r"urn:schemas-microsoft-com:xslt|http://xml\.apache\.org/(?:xalan|xslt)/(?:java|javascript)|http://saxon\.sf\.net/java-type"
    r"|[\"'](?:java|clitype|ext):|http://php\.net/xsl|http://icl\.com/saxon"
)
_RUNS = re.compile(
    r"<(?:\w+:)?(?:script|component)\b[^<>]*\b(?:language|implements-prefix|lang)\s*="
    r"|\bphp:function|\b(?:java\.lang\.)?(?:Runtime|ProcessBuilder)\b|\bsystem-property\s*\(\s*[\"'](?!xsl:)"
)
_FETCHES = re.compile(r"\b(?:document|doc|unparsed-text)\s*\(\s*[\"'](?:https?|ftp|file|jar):", re.IGNORECASE)


def check(tally: Tally, text: str) -> None:
    """Note what an XML file runs or fetches as the document or the style sheet that it is."""
    head = text[:_HEAD]
    if _OPEN_DOCUMENT in head or _MICROSOFT.search(head):
        if found := _MACROS.search(text):
            why = f"The document holds macros or objects: {' '.join(found[0].split())[:60]}"
            tally.note("office-macro", Severity.CRITICAL, why, found.start())
        ooxml.part(tally, "content.xml", text.encode())
    if _STYLE_SHEET in head:
        if _EXTENSION.search(text) and (found := _RUNS.search(text)):
            why = f"The style sheet runs another language: {' '.join(found[0].split())[:60]}"
            tally.note("xslt-program", Severity.HIGH, why, found.start())
        if found := _FETCHES.search(text):
            why = f"The style sheet reads from elsewhere: {' '.join(found[0].split())[:60]}"
            tally.note("xslt-external", Severity.MEDIUM, why, found.start())
