"""The query library: each question of queries/ is a named query, which Athena's console offers whoever opens it."""

from __future__ import annotations

from datetime import date

from aws_cdk import aws_athena as athena

from atlas import questions
from stacks.base import AtlasStack

_SOME_DAY = date(2024, 11, 30)
"""Examples must not change from one deployment to the next."""


def library(stack: AtlasStack, workgroup: str) -> None:
    """Declares the named queries in a workgroup that is there already. Their names are the questions'."""
    for question in questions.load().values():
        athena.CfnNamedQuery(
            stack,
            f"Question-{question.name}",
            name=question.name,
            description=f"{question.title}. {question.description}",
            database=stack.config.database,
            work_group=workgroup,
            query_string=told(question),
        )


def told(question: questions.Question) -> str:
    """The question's SQL under comments that say what it answers and what its question marks stand for.

    Athena's console asks for the values; they are SQL literals.
    """
    examples = question.literals({}, _SOME_DAY)
    marks = [
        f"  {number}. {parameter.name}, a {parameter.type}: {example}"
        for number, (parameter, example) in enumerate(zip(question.parameters, examples, strict=True), 1)
    ]
    asked_for = "Parameters, in order, each in single quotes, for example:"
    lines = [question.title, question.description, asked_for, *marks]
    return "\n".join([*(f"-- {line}" for line in lines), question.sql])
