"""The `atlas` command: reads its arguments, calls the verb. Exits 0 only if what was asked for happened."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from atlas import access, lake, questions
from atlas_cli import books, client, dead_letters, demo, query, refusals, replay, serve, status, withdraw
from atlas_cli.cloud import LOCAL, connect
from atlas_cli.console import CommandError, Say
from atlas_cli.cost import show as cost
from atlas_cli.generate import DEFAULT_DAYS, DEFAULT_RECORDS, DEFAULT_SEED, generate
from atlas_cli.inspect import inspect
from atlas_cli.local.deploy import DeployError
from atlas_cli.local.emulator import EmulatorError
from atlas_cli.orders import Obeyed
from atlas_cli.put import put, raw_keys, verdict_row
from atlas_cli.run import ENGINES, request, run
from stacks.config import ConfigError

_DAYS_NAMED = 7

Verb = Callable[[argparse.Namespace, Say], None]


def _up(_: argparse.Namespace, say: Say) -> None:
    demo.up(say)


def _down(_: argparse.Namespace, say: Say) -> None:
    demo.down(say)


def _demo(args: argparse.Namespace, say: Say) -> None:
    demo.demo(say, keep=args.keep)


def _status(args: argparse.Namespace, say: Say) -> None:
    status.status(connect(args.stage), say)


def _put(args: argparse.Namespace, say: Say) -> None:
    entries = put(connect(args.stage), raw_keys(args.files, args.prefix), say)
    say.rows("Verdicts", [verdict_row(entry) for entry in entries])


def _run(args: argparse.Namespace, say: Say) -> None:
    document = request(args.date, args.since, args.until, args.engine)
    say.rows("Days", run(connect(args.stage), document, say))


def _withdraw(args: argparse.Namespace, say: Say) -> None:
    done = withdraw.withdraw(connect(args.stage), args.keys, say)
    say.rows("Verdicts", [withdraw.row(told) for told in done])
    _say_dirty(done, say)


def _refusals(args: argparse.Namespace, say: Say) -> None:
    refusals.show(connect(args.stage), args.date, say)


def _replay(args: argparse.Namespace, say: Say) -> None:
    days = request(args.date, args.since, args.until, args.engine)
    if days and (args.keys or args.salvage):
        raise CommandError("replay takes files or days, not both")
    if days.keys() == {"engine"}:
        raise CommandError("--engine goes with --date, or with --from and --to")
    cloud = connect(args.stage)
    if days:
        say.rows("Days", run(cloud, days, say))
        return
    done = replay.replay(cloud, args.keys, say, salvage=args.salvage)
    say.rows("Verdicts", [replay.row(told) for told in done])
    _say_dirty(done, say)


def _say_dirty(done: Sequence[Obeyed], say: Say) -> None:
    days = sorted({day.isoformat() for told in done for day in told.days})
    if days:
        named = ", ".join(days) if len(days) <= _DAYS_NAMED else f"{days[0]} ... {days[-1]} ({len(days):,} days)"
        say.note(f"To be processed anew: {named}. The sweep sees to that, or now: atlas run")


def _dead_letters(args: argparse.Namespace, say: Say) -> None:
    cloud = connect(args.stage)
    if args.redrive:
        say.rows("Sent back", dead_letters.for_people(dead_letters.redrive(cloud, say), say))
        return
    rows = dead_letters.show(cloud)
    say.rows("Dead letters", dead_letters.for_people(rows, say))
    if not rows:
        return
    counted = Counter(row["queue"] for row in rows)
    if dead_letters.MOST in counted.values():
        say.note(f"Of a queue, the first {dead_letters.MOST:,} are shown; there may be more.")
    logs = [way.function for way in dead_letters.ways(cloud.names) if way.name in counted]
    say.note(f"The log of {' and '.join(logs)} says what happened. When it is mended, send them back:")
    say.note("  atlas dead-letters --redrive")


def _client(args: argparse.Namespace, say: Say) -> None:
    client.run(connect(args.stage), args.action, args.name, say, args.api)


def _books(args: argparse.Namespace, say: Say) -> None:
    span = {"from": args.date.isoformat(), "to": args.date.isoformat()} if args.date else {}
    cloud = connect(args.stage)
    if args.file:
        books.show_file(cloud, args.file, span, say)
        return
    rows = books.show(cloud, span, say)
    if args.date and not rows:
        raise CommandError(f"{args.date} was never processed: atlas run --date {args.date}")


def _query(args: argparse.Namespace, say: Say) -> None:
    given = dict(word.partition("=")[::2] for word in args.param)
    say.rows(
        args.query if args.query in questions.load() else "Answer",
        query.ask(connect(args.stage), args.query, given),
    )


def _serve(args: argparse.Namespace, say: Say) -> None:
    serve.serve(connect(args.stage), args.port, say)


def _inspect(args: argparse.Namespace, say: Say) -> None:
    inspect(args.files, args.prefix, say)


def _generate(args: argparse.Namespace, say: Say) -> None:
    try:
        truth = generate(
            args.directory, seed=args.seed, days=args.day or DEFAULT_DAYS, records_per_day=args.records
        )
    except ValueError as fault:
        raise CommandError(str(fault)) from fault
    say.rows(f"Files in {args.directory}", [{"file": file.path, "what": file.what} for file in truth.files])


def _cost(args: argparse.Namespace, say: Say) -> None:
    cost.show(
        args.stage,
        args.gb_per_day,
        args.files_per_day,
        events=args.events_per_day,
        questions=args.questions_per_day,
        say=say,
    )


def _day(text: str) -> date:
    try:
        return lake.parse_day(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="atlas", description="Log files dropped into S3 become tables you can trust."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(
        name: str, call: Verb, text: str, *, staged: bool = True, rows: bool = True
    ) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        made.set_defaults(call=call, json=False, stage=LOCAL)
        if staged:
            made.add_argument("--stage", default=LOCAL, help="local (the default) or a deployed stage")
        if rows:
            made.add_argument("--json", action="store_true", help="one JSON object a line")
        return made

    verb("demo", _demo, "the main job on the sample data, on a local cloud", staged=False).add_argument(
        "--keep", action="store_true", help="leave the local cloud up"
    )
    verb("up", _up, "start the local cloud and deploy the stacks", staged=False, rows=False)
    verb("down", _down, "stop the local cloud; what it held is gone", staged=False, rows=False)
    verb("status", _status, "alarms, freshness, queues, dirty and failed days, last runs")
    made = verb("put", _put, "drop files into raw/ and wait until each is ingested or refused")
    made.add_argument("files", nargs="+", type=Path, metavar="FILE")
    made.add_argument("--prefix", default="", help="folder under raw/; a format's name there decides the format")
    _add_days(verb("run", _run, "process one day, a range, or yesterday and every dirty day"))
    made = verb("books", _books, "in = published + duplicates + rejected, per day and format or of one file")
    made.add_argument("--date", type=_day, metavar="DAY")
    made.add_argument("--file", metavar="KEY", help="what is known of one file, and what its days took of it")
    made = verb("refusals", _refusals, "which files and records were refused, and why")
    made.add_argument("--date", type=_day, metavar="DAY", help="files that landed on it, records that belong to it")
    made = verb("replay", _replay, "judge refused files anew, or those named; or process days again")
    made.add_argument("keys", nargs="*", metavar="KEY", help="a raw key, with or without raw/")
    made.add_argument("--salvage", action="store_true", help="take what can be read before a file's fault")
    _add_days(made)
    made = verb("withdraw", _withdraw, "take the records of files out of every day again")
    made.add_argument("keys", nargs="+", metavar="KEY", help="a raw key, with or without raw/")
    verb("dead-letters", _dead_letters, "what could not be ingested or forwarded, and was given up").add_argument(
        "--redrive", action="store_true", help="send all of it back to where it was to go"
    )
    made = verb("client", _client, "applications that may send events or ask for answers: their secrets, one each")
    made.add_argument("action", choices=client.ACTIONS)
    made.add_argument("name", nargs="?", metavar="NAME", help="lower-case letters, digits and hyphens")
    made.add_argument(
        "--api", action="append", default=[], choices=access.APIS, help="what it may use: events if not given"
    )
    made = verb("query", _query, "ask through Athena: a question of docs/queries.md, or any SQL")
    made.add_argument("query", metavar="NAME|SQL")
    made.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    verb("serve", _serve, "the query API and its page, here, for you alone", rows=False).add_argument(
        "--port", type=int, default=serve.PORT
    )
    made = verb("inspect", _inspect, "what ingestion would do with files; needs no cloud", staged=False)
    made.add_argument("files", nargs="+", metavar="FILE")
    made.add_argument("--prefix", default="", help="the folder under raw/ that they would be dropped into")
    _add_amounts(
        verb("cost", _cost, "what a stage costs a month, beside CloudWatch Logs; needs no cloud", staged=False)
    )
    made = verb("generate", _generate, "synthetic logs of every format, seeded", staged=False)
    made.add_argument("directory", type=Path, metavar="DIR")
    made.add_argument("--seed", type=int, default=DEFAULT_SEED)
    made.add_argument("--day", type=_day, action="append", metavar="DAY", help="may be given several times")
    made.add_argument("--records", type=int, default=DEFAULT_RECORDS, help="a day")
    return parser


def _add_amounts(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--gb-per-day", type=float, required=True, metavar="N", help="GB of text, not compressed")
    verb.add_argument("--files-per-day", type=int, metavar="M", help="if not given, files of 50 MB of text")
    verb.add_argument("--events-per-day", type=int, default=0, metavar="N", help="over the events API")
    verb.add_argument("--questions-per-day", type=int, default=0, metavar="N", help="to the query API, for data")
    verb.add_argument("--stage", default="prod", help="of cdk.json: prod if not given")


def _add_days(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--date", type=_day, metavar="DAY")
    verb.add_argument("--from", type=_day, dest="since", metavar="DAY")
    verb.add_argument("--to", type=_day, dest="until", metavar="DAY")
    verb.add_argument("--engine", choices=("auto", *ENGINES), help="auto goes by the day's size")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; the exit status."""
    args = _parser().parse_args(argv)
    try:
        args.call(args, Say(as_json=args.json))
    except (CommandError, ConfigError, DeployError, EmulatorError) as fault:
        print(f"atlas: {fault}", file=sys.stderr)
        return 1
    except (ClientError, BotoCoreError) as fault:
        print(f"atlas: AWS said: {fault}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough, as in `atlas status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("atlas: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
