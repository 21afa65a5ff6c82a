"""Every reason for which a file or a record is refused, each with its meaning for people.

The docs, the reason documents and `atlas` print these sentences; code names the members.
"""

from __future__ import annotations

from enum import StrEnum


class _Reason(StrEnum):
    meaning: str

    def __new__(cls, code: str, meaning: str = "") -> _Reason:
        """A member is its code, so it can stand in SQL, JSON and keys."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class FileReason(_Reason):
    """Why a whole file is refused. Nothing of it reaches the validated zone."""

    UNSUPPORTED_FORMAT = (
        "unsupported_format",
        "No format recognises the file's first records. Drop it under raw/<format>/, or add a format.",
    )
    UNSUPPORTED_CONTAINER = (
        "unsupported_container",
        "The file is an archive of files, such as zip or tar, or no text at all. Drop the log files themselves.",
    )
    TRUNCATED_GZIP = ("truncated_gzip", "The gzip stream ends too early: the upload was cut off. Drop it again.")
    CORRUPT_GZIP = ("corrupt_gzip", "The gzip stream is damaged. Drop the file again.")
    TRUNCATED_STREAM = (
        "truncated_stream",
        "The bzip2, xz or zstd stream ends too early: the upload was cut off. Drop it again.",
    )
    CORRUPT_STREAM = ("corrupt_stream", "The bzip2, xz or zstd stream is damaged. Drop the file again.")
    TOO_LARGE = (
        "too_large",
        "More than 4 GiB of text, 100 million records or ten minutes of reading, or large and inflated more than "
        "250 times. Drop it in parts.",
    )
    MALFORMED_XML = ("malformed_xml", "The XML is not well-formed; the place of the fault is given.")
    MALFORMED_JSON = ("malformed_json", "The JSON's outer structure breaks; the place of the fault is given.")
    FORBIDDEN_XML_ENTITY = (
        "forbidden_xml_entity",
        "The XML declares entities or default attributes, which are never expanded. Drop it without them.",
    )
    UNREADABLE_ENCODING = (
        "unreadable_encoding",
        "The bytes are not text in the encoding that they claim, or in UTF-8 if they claim none.",
    )
    RECORD_TOO_LONG = ("record_too_long", "One record is longer than 4 MiB: this is hardly a log.")
    TOO_MANY_DAYS = ("too_many_days", "The records spread over more than ten years of days.")
    NO_EVENT_TIME = ("no_event_time", "No record has a readable event time, so no day can be told.")


SALVAGEABLE = frozenset(
    (
        FileReason.TRUNCATED_GZIP,
        FileReason.TRUNCATED_STREAM,
        FileReason.MALFORMED_XML,
        FileReason.MALFORMED_JSON,
    )
)
"""Faults before which the file is sound: an operator may have that part taken. What a damaged stream gives before
the damage shows may be damaged itself."""


class RecordReason(_Reason):
    """Why a single record is refused. The rest of its file is not affected."""

    MALFORMED_RECORD = ("malformed_record", "The line or element is not a record of the file's syntax.")
    INVALID_BYTES = ("invalid_bytes", "The record's bytes are not text in the file's encoding.")
    NO_EVENT_TIME = ("no_event_time", "The record's time is missing or cannot be read.")
    MISSING_FIELD = ("missing_field", "A required column has no value; `detail` names it.")
    INVALID_STATUS_CODE = ("invalid_status_code", "The status is not a whole number from 100 to 599.")
    # of events that came over the events API
    INVALID_EVENT = ("invalid_event", "The event breaks the schema of the events API; `detail` names the field.")
    TIME_OUT_OF_RANGE = (
        "time_out_of_range",
        "The event's time is more than seven days before it was received, or more than five minutes after.",
    )
    NOT_CONVERTED = (
        "not_converted",
        "The delivery stream could not write the event as Parquet; `detail` is the error's code.",
    )
    NOT_DELIVERED = (
        "not_delivered",
        "The delivery stream took the event and has not written it for longer than it tries to.",
    )
