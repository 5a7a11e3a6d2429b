"""Minutes of assemblies, as they are published, as speeches with their speakers.

Library package; no command of its own.
"""

from gikai.minutes.documents import Document, find_documents, iterate, read_minutes
from gikai.minutes.headers import Header, parse_header, role_of
from gikai.minutes.speeches import KINDS, account, strip_added
from gikai.minutes.tables import read_rows

__all__ = [
    "KINDS",
    "Document",
    "Header",
    "account",
    "find_documents",
    "iterate",
    "parse_header",
    "read_minutes",
    "read_rows",
    "role_of",
    "strip_added",
]
