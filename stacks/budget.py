"""A monthly budget of the stage, if it names an amount: it tells people, and stops nothing."""

from __future__ import annotations

from aws_cdk import aws_budgets as budgets

from stacks.base import AtlasStack
from stacks.tags import tags

_TOLD_AT = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""At which per cent of the amount, of what was spent or of what the month will come to."""


def budget(stack: AtlasStack) -> budgets.CfnBudget | None:
    """The stage's budget, which writes to its topic; None if it names no amount.

    It counts what carries the stage's tags, which the billing console has to know as cost allocation tags first:
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """
    amount = stack.config.monthly_budget_usd
    if amount is None:
        return None
    told = budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=stack.arns.topic)
    marks = tags(stack.config.stage)
    return budgets.CfnBudget(
        stack,
        "Budget",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_name=stack.names.budget,
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=amount, unit="USD"),
            metrics=["UnblendedCost"],
            filter_expression=budgets.CfnBudget.ExpressionProperty(
                and_=[
                    budgets.CfnBudget.ExpressionProperty(
                        tags=budgets.CfnBudget.TagValuesProperty(key=key, values=[value], match_options=["EQUALS"])
                    )
                    for key, value in marks.items()
                ]
            ),
        ),
        notifications_with_subscribers=[
            budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    notification_type=kind, comparison_operator="GREATER_THAN", threshold=percent
                ),
                subscribers=[told],
            )
            for kind, percent in _TOLD_AT
        ],
        resource_tags=[budgets.CfnBudget.ResourceTagProperty(key=key, value=value) for key, value in marks.items()],
    )
