"""What may be said of an error in logs, notices and reason documents, where no record's content may be.

Whoever raises an error may quote the value that it stumbled over: Python's own errors do, and DuckDB's. So only
those texts are told whose authors name keys, counts and calls: ours, those of AWS's clients, and Spark's. Of any
other error people are told what it is and where it was raised.
"""

from __future__ import annotations

_OURS = ("atlas", "lambda_day", "lambda_events", "lambda_ingest", "lambda_query", "glue_jobs")
_QUOTE_NO_RECORDS = (*_OURS, "boto3", "botocore", "s3transfer", "py4j", "pyspark")
_QUOTES_VALUES = ("ParamValidationError", "FileRefusedError")
"""What AWS's clients say of an argument, and ingestion of the place where a file is at fault."""


class UntoldError(Exception):
    """Stands for an error whose text may quote a record: its class and place."""


def told(fault: BaseException) -> str:
    """The error's text, with its notes, if it quotes no record; else its class and place."""
    if _is_quotable(fault):
        return "\n".join([str(fault), *getattr(fault, "__notes__", ())])
    return f"{type(fault).__name__} at {_place(fault)}. Its own words are not told: they may quote a record"


def tellable(fault: BaseException) -> BaseException:
    """The error itself if it quotes no record, else an UntoldError of the same place.

    To be raised `from None`: whatever the error came from is not for logs either.
    """
    return fault if _is_quotable(fault) else UntoldError(told(fault)).with_traceback(fault.__traceback__)


def _is_quotable(fault: BaseException) -> bool:
    kind = type(fault)
    if isinstance(fault, OSError | EOFError | MemoryError) or not isinstance(fault, Exception):
        return True
    return kind.__module__.partition(".")[0] in _QUOTE_NO_RECORDS and kind.__name__ not in _QUOTES_VALUES


def _place(fault: BaseException) -> str:
    """The innermost line of ours that the error came through."""
    place, traceback = "a place that is not known", fault.__traceback__
    while traceback:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _OURS:
            place = f"{module}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
