"""Error logs as XML, dressed in every way that ingestion takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from xml.sax.saxutils import escape, quoteattr

from tests.file_forms import ENCODINGS, Row, Writer, Written, halves


@dataclass(frozen=True)
class Dress:
    """How an XML file is dressed; the records in it are the same."""

    declared: str | None = None
    """The encoding of the XML declaration; "" for a declaration without one, None for none at all."""
    root: str | None = "errors"
    prefix: str | None = None
    """None: no namespace; "": a default one; otherwise the prefix of every name."""
    attributes: bool = False
    cdata: bool = False
    noise: bool = False
    doctype: str = ""
    pretty: bool = True
    newline: str = "\n"


def xml_text(rows: Sequence[Row], dress: Dress) -> Written:
    """The rows as `error` elements. A row's values are texts, rows, and lists of these."""
    writer = Writer()
    newline = dress.newline if dress.pretty else ""
    space = _declarations(dress)
    name = partial(_named, dress)
    if dress.declared is not None:
        encoding = f' encoding="{dress.declared}"' if dress.declared else ""
        writer.put(f'<?xml version="1.0"{encoding}?>{newline}')
    if dress.noise:
        writer.put(f"<!-- <error>{newline}</error> -->{newline}<?sort by='time' > ?>{newline}")
    writer.put(dress.doctype)
    if dress.root:
        writer.put(f"<{name(dress.root)}{space}>{newline}")
    for row in rows:
        if dress.noise:
            writer.put(f"<?next > ?><!-- > -->{newline}", stop=not dress.root)
        element = _element(name("error"), row, dress, "" if dress.root else space, depth=1)
        writer.put(element, records=1, stop=not dress.root)
        writer.put(newline)
    if dress.root:
        writer.put(f"</{name(dress.root)}>", stop=True)
    if dress.noise:
        writer.put(f"{newline}<!-- the end -->", stop=True)
    writer.put(newline, stop=True)
    stops = tuple((length, records) for length, records in writer.stops if records or not length)
    return Written(writer.text, tuple(range(1, len(rows) + 1)), stops, "document" if dress.root else "objects")


def _declarations(dress: Dress) -> str:
    if dress.prefix is None:
        return ""
    if not dress.prefix:
        return ' xmlns="urn:atlas:test"'
    return f' xmlns:{dress.prefix}="urn:atlas:test" xmlns:other="urn:other"'


def _named(dress: Dress, name: str) -> str:
    return f"{dress.prefix}:{name}" if dress.prefix else name


def _element(name: str, row: Row, dress: Dress, declarations: str, depth: int) -> str:
    """One element with its fields as attributes or children."""
    attributes = declarations
    children = ""
    indent = dress.newline + "  " * depth if dress.pretty else ""
    for key, value in row.items():
        if dress.attributes and isinstance(value, str):
            attributes += f" {_attribute_name(dress, key)}={quoteattr(value)}"
            continue
        for item in value if isinstance(value, list) else [value]:
            child = _named(dress, key)
            if isinstance(item, str):
                children += f"{indent}<{child}>{_content(item, dress)}</{child}>"
            else:
                children += indent + _element(child, item, dress, "", depth + 1)
    if not children:
        return f"<{name}{attributes}/>"
    return f"<{name}{attributes}>{children}{indent}</{name}>"


def _attribute_name(dress: Dress, key: str) -> str:
    return f"other:{key}" if dress.prefix and len(key) % 2 else key


def _content(value: str, dress: Dress) -> str:
    """A leaf's text; a carriage return must be a reference, or a parser takes it for a newline."""
    if dress.cdata and "\r" not in value:
        half = len(value) // 2
        sections = [value[:half], value[half:]]
        return "".join("<![CDATA[" + part.replace("]]>", "]]]]><![CDATA[>") + "]]>" for part in sections)
    middle = "<!-- in -->" if dress.noise else ""
    half = len(value) // 2
    references = {"\r": "&#13;", "'": "&apos;", '"': "&#34;"}
    return escape(value[:half], references) + middle + escape(value[half:], references)


XML_LAYOUTS: dict[str, Dress] = {
    "root": Dress(),
    "declaration": Dress(declared=""),
    "one line": Dress(pretty=False),
    "one line with a declaration": Dress(declared="", pretty=False),
    "CRLF": Dress(declared="", newline="\r\n"),
    "fragments": Dress(root=None),
    "fragments on one line": Dress(root=None, pretty=False),
    "fragments below a declaration": Dress(root=None, declared=""),
    "default namespace": Dress(prefix=""),
    "prefixed namespace": Dress(prefix="log", declared=""),
    "fragments in a namespace": Dress(root=None, prefix="log"),
    "attributes": Dress(attributes=True),
    "attributes of fragments in a default namespace": Dress(attributes=True, root=None, prefix=""),
    "prefixed attributes": Dress(attributes=True, prefix="log", pretty=False),
    "CDATA": Dress(cdata=True),
    "comments and instructions": Dress(noise=True, declared=""),
    "comments and instructions among fragments": Dress(noise=True, root=None),
    "DOCTYPE": Dress(doctype="<!DOCTYPE errors>\n", declared=""),
    "DOCTYPE with a public name": Dress(doctype='<!DOCTYPE errors PUBLIC "-//A//B" "http://192.0.2.1/e.dtd">'),
    "DOCTYPE that declares elements": Dress(
        doctype="<!DOCTYPE errors [<!ELEMENT errors ANY> <!ATTLIST error a CDATA #IMPLIED> <!-- ]> -->]>\n"
    ),
    "another root": Dress(root="log.Entries-1"),
}


def two_xml_documents(rows: Sequence[Row], dress: Dress, between: str = "\n") -> Written:
    """Two documents in one file, as `cat` makes it."""
    first, second = (xml_text(half, dress) for half in halves(rows))
    shift, count = len(first.text) + len(between), len(first.places)
    stops = [(offset + shift, records + count) for offset, records in second.stops if offset]
    text = first.text + between + second.text
    return Written(text, tuple(range(1, len(rows) + 1)), first.stops + tuple(stops), first.kind)


XML_ENCODINGS: dict[str, tuple[str | None, Callable[[str], bytes]]] = {
    **{name: (None, encode) for name, encode in ENCODINGS.items()},
    "declared utf-8": ("UTF-8", ENCODINGS["utf-8"]),
    "declared utf-16, little-endian with BOM": ("UTF-16", ENCODINGS["utf-16-le with BOM"]),
    "declared utf-16, big-endian with BOM": ("utf-16", ENCODINGS["utf-16-be with BOM"]),
    "declared utf-16, little-endian": ("utf-16", ENCODINGS["utf-16-le"]),
    "declared utf-16, big-endian": ("UTF-16", ENCODINGS["utf-16-be"]),
    "declared iso-8859-1": ("ISO-8859-1", lambda text: text.encode("iso-8859-1", "xmlcharrefreplace")),
    "declared windows-1252": ("windows-1252", lambda text: text.encode("cp1252", "xmlcharrefreplace")),
    "declared us-ascii": ("US-ASCII", lambda text: text.encode("ascii", "xmlcharrefreplace")),
    "declared utf-16, but utf-8": ("utf-16", ENCODINGS["utf-8"]),
    "declared utf-16, but utf-8 with BOM": ("utf-16", ENCODINGS["utf-8 with BOM"]),
}
"""The encoding that the declaration names (None: no declaration is needed), and the bytes."""
