"""Billing: the subscription, and credits."""

from copy import copy
from typing import Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

import trailkeeper
from examples.gateway.access import Caller, SignedIn, failed
from examples.gateway.state import Subscription, new_id
from trailkeeper import Action

router = APIRouter(prefix="/organizations/{organization_id}/billing", tags=["billing"])


class NewSubscription(BaseModel):
    """What to subscribe to."""

    plan: Literal["pro", "enterprise"]
    seats: int = Field(5, ge=1)


class TopUp(BaseModel):
    """Credits to buy, in US dollars. The sample's one card that is declined is `card_declined`."""

    amount: int = Field(ge=5, le=5000)
    card: str = "card_visa"


class Balance(BaseModel):
    """What there is after a payment."""

    payment_id: str
    credits: int


@router.post("/subscription", status_code=201)
async def subscribe(new: NewSubscription, caller: SignedIn) -> Subscription:
    """Start a subscription. There is one at a time."""
    audit = caller.allowed(Action.SUBSCRIPTION_CREATE, resource_name=new.plan)
    if caller.organization.subscription is not None:
        raise failed(audit, Action.SUBSCRIPTION_CREATE, 409, "There is a subscription already.")
    subscription = caller.organization.subscription = Subscription(new_id("sub"), new.plan, new.seats)
    audit.info(
        Action.SUBSCRIPTION_CREATE,
        resource_id=subscription.id,
        details={"changes": trailkeeper.diff(None, subscription)},
    )
    return subscription


@router.post("/subscription/cancel")
async def cancel(caller: SignedIn) -> Subscription:
    """Cancel the subscription at the end of the month that is paid for."""
    return switch(caller, Action.SUBSCRIPTION_CANCEL, "active", "cancelled")


@router.post("/subscription/resume")
async def resume(caller: SignedIn) -> Subscription:
    """Take a cancellation back."""
    return switch(caller, Action.SUBSCRIPTION_RESUME, "cancelled", "active")


def switch(caller: Caller, action: Action, before: str, after: str) -> Subscription:
    """Move the subscription from one status to the other."""
    subscription = caller.organization.subscription
    if subscription is None:
        raise HTTPException(404, "There is no subscription.")
    audit = caller.allowed(action, subscription.id, subscription.plan)
    if subscription.status != before:
        raise failed(audit, action, 409, f"The subscription is {subscription.status}.")
    old = copy(subscription)
    subscription.status = after
    audit.info(action, details={"changes": trailkeeper.diff(old, subscription)})
    return subscription


@router.post("/credits", status_code=201)
async def top_up(payment: TopUp, caller: SignedIn) -> Balance:
    """Buy credits. A card that is declined is on the trail as a failure."""
    organization, payment_id = caller.organization, new_id("pay")
    audit = caller.allowed(Action.PAYMENT_CREDIT_TOPUP, payment_id, f"${payment.amount} of credits")
    if payment.card == "card_declined":
        raise failed(audit, Action.PAYMENT_CREDIT_TOPUP, 402, "The card was declined.")
    old = {"credits": organization.credits}
    organization.credits += payment.amount
    audit.info(
        Action.PAYMENT_CREDIT_TOPUP,
        details={"amount": payment.amount, "changes": trailkeeper.diff(old, {"credits": organization.credits})},
    )
    return Balance(payment_id=payment_id, credits=organization.credits)
