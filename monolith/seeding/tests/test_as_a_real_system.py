"""The data is as the monolith itself would have left it."""

from datetime import UTC, datetime

from payments.models import Dispute, Fee, LedgerTransaction, TransactionKind
from payments.money import to_minor
from payments.services.fees import fee_minor
from payments.services.ledger import MOVES
from reporting.models import DailyRevenue
from reporting.services.rollup import roll_up
from seeding.management.commands.seed import AS_OF

from .company import query, seed

# Each counts rows that are not as they should be.
WRONG = {
    "ledger: a transaction does not sum to zero": """
        SELECT count(*) FROM (
            SELECT FROM payments_ledger_entry GROUP BY transaction_id, currency HAVING sum(amount) <> 0) AS t""",
    "ledger: a balance is not the sum of its entries": """
        SELECT count(*) FROM payments_ledger_account AS a WHERE balance <>
            (SELECT coalesce(sum(amount), 0) FROM payments_ledger_entry WHERE account_id = a.id)""",
    "ledger: ids do not follow time": """
        SELECT count(*) FROM payments_ledger_transaction AS a JOIN payments_ledger_transaction AS b ON b.id = a.id + 1
        WHERE b.created_at < a.created_at""",
    "ledger: a completed payment is not booked": """
        SELECT count(*) FROM payments_payment AS p WHERE (completed_at IS NOT NULL) <> EXISTS (
            SELECT FROM payments_ledger_transaction WHERE payment_id = p.id AND kind = 'charge')""",
    "ledger: Stripe's balance is not what is still to be paid out": """
        SELECT count(*) FROM payments_ledger_account AS a WHERE kind = 'stripe' AND balance <> (
            SELECT sum(amount) FROM (
                SELECT amount FROM payments_payment WHERE completed_at IS NOT NULL AND currency = a.currency
                UNION ALL SELECT -amount FROM payments_fee WHERE currency = a.currency
                UNION ALL SELECT -amount FROM payments_refund WHERE status = 'succeeded' AND currency = a.currency
                UNION ALL SELECT -amount FROM payments_dispute WHERE is_withdrawn AND currency = a.currency
                UNION ALL SELECT -amount FROM payments_payout WHERE status = 'paid' AND currency = a.currency
            ) AS moved)""",
    "payment: refunded is not the sum of refunds": """
        SELECT count(*) FROM payments_payment AS p WHERE amount_refunded <> (SELECT coalesce(sum(amount), 0)
            FROM payments_refund WHERE payment_id = p.id AND status = 'succeeded')""",
    "payment: the status does not fit": """
        SELECT count(*) FROM payments_payment WHERE NOT CASE status
            WHEN 'refunded' THEN amount_refunded = amount
            WHEN 'partially_refunded' THEN amount_refunded > 0 AND amount_refunded < amount
            WHEN 'disputed' THEN completed_at IS NOT NULL
            WHEN 'completed' THEN amount_refunded = 0 AND completed_at IS NOT NULL
            WHEN 'failed' THEN failure_code <> '' AND completed_at IS NULL
            WHEN 'requires_capture' THEN NOT capture AND amount_authorized = amount AND completed_at IS NULL
            ELSE completed_at IS NULL AND amount_refunded = 0 END""",
    "payment: disputed without a dispute that is open or lost": """
        SELECT count(*) FROM payments_payment AS p WHERE (status = 'disputed') <> EXISTS (SELECT FROM payments_dispute
            WHERE payment_id = p.id AND status NOT IN ('won', 'prevented', 'warning_closed'))""",
    "payment: the last change is another status": """
        SELECT count(*) FROM payments_payment AS p WHERE status <> (SELECT to_status FROM payments_payment_status_change
            WHERE payment_id = p.id ORDER BY id DESC LIMIT 1)""",
    "payment: changes do not follow each other": """
        SELECT count(*) FROM (SELECT from_status, created_at,
                lag(to_status, 1, '') OVER w AS before, lag(created_at) OVER w AS earlier
            FROM payments_payment_status_change WINDOW w AS (PARTITION BY payment_id ORDER BY id)) AS c
        WHERE from_status <> before OR created_at < earlier""",
    "payment: another customer's card, or one that was not there": """
        SELECT count(*) FROM payments_payment AS p JOIN payments_customer AS c ON c.id = p.customer_id
        LEFT JOIN payments_payment_method AS m ON m.id = p.payment_method_id
        WHERE c.user_id <> p.user_id OR m.customer_id <> c.id OR m.created_at > p.created_at
           OR m.detached_at < p.created_at OR (m.id IS NULL AND p.status <> 'failed')""",
    "payment: made before the account or after it went": """
        SELECT count(*) FROM payments_payment AS p JOIN users_user AS u ON u.id = p.user_id
        WHERE p.created_at < u.created_at OR p.created_at > u.deleted_at""",
    "payment: ids do not follow time": """
        SELECT count(*) FROM payments_payment AS a JOIN payments_payment AS b ON b.id = a.id + 1
        WHERE b.created_at < a.created_at""",
    "payment: more or less is owed than the payouts have yet to settle": """
        SELECT count(*) FROM payments_payment AS p WHERE completed_at IS NOT NULL AND NOT payout_due
        AND amount - amount_refunded
            - (SELECT coalesce(sum(amount), 0) FROM payments_fee WHERE payment_id = p.id)
            - (SELECT coalesce(sum(amount), 0) FROM payments_dispute WHERE payment_id = p.id AND is_withdrawn)
            - (SELECT coalesce(sum(amount), 0) FROM payments_payout_item WHERE payment_id = p.id AND NOT is_released)
            <> 0""",
    "refund: pending ones exceed what is left": """
        SELECT count(*) FROM payments_payment AS p WHERE amount < amount_refunded + (SELECT coalesce(sum(amount), 0)
            FROM payments_refund WHERE payment_id = p.id AND status = 'pending')""",
    "payout: not the sum of its items": """
        SELECT count(*) FROM payments_payout AS p WHERE (amount, payment_count) <> (SELECT sum(amount), count(*)
            FROM payments_payout_item WHERE payout_id = p.id)""",
    "payout: of another currency than its payments": """
        SELECT count(*) FROM payments_payout_item AS i JOIN payments_payout AS o ON o.id = i.payout_id
        JOIN payments_payment AS p ON p.id = i.payment_id WHERE p.currency <> o.currency""",
    "payout: released although it arrived, or kept although it did not": """
        SELECT count(*) FROM payments_payout_item AS i JOIN payments_payout AS o ON o.id = i.payout_id
        WHERE i.is_released <> (o.status IN ('failed', 'canceled'))""",
    "dispute: closed, and not closed": """
        SELECT count(*) FROM payments_dispute
        WHERE (closed_at IS NOT NULL) <> (status IN ('won', 'lost', 'warning_closed', 'prevented'))""",
    "dispute: no receipt among the evidence": """
        SELECT count(*) FROM payments_dispute AS d WHERE NOT EXISTS (
            SELECT FROM payments_dispute_evidence WHERE dispute_id = d.id AND kind = 'receipt')""",
    "invoice: not the sum of its lines": """
        SELECT count(*) FROM payments_invoice AS i
        WHERE subtotal <> (SELECT sum(amount) FROM payments_invoice_line WHERE invoice_id = i.id)""",
    "invoice: not what its payment paid": """
        SELECT count(*) FROM payments_invoice AS i LEFT JOIN payments_payment AS p ON p.id = i.payment_id
        WHERE p.amount <> i.total OR p.currency <> i.currency OR p.user_id <> i.user_id
           OR (i.status = 'paid') <> (p.completed_at IS NOT NULL)
           OR (p.id IS NULL AND i.status <> 'draft')""",
    "subscription: its period is not the one that was paid last": """
        SELECT count(*) FROM payments_subscription AS s WHERE status IN ('active', 'past_due', 'canceled')
        AND current_period_start <> (SELECT max(period_start) FROM payments_invoice
            WHERE subscription_id = s.id AND status = 'paid')""",
    "subscription: active, but its period is over": """
        SELECT count(*) FROM payments_subscription
        WHERE status = 'active' AND current_period_end < %(as_of)s - interval '5 minutes'""",
    "coupon: used more often than it may be": """
        SELECT count(*) FROM payments_coupon AS c WHERE max_redemptions < (SELECT count(*) FROM payments_subscription
            WHERE coupon_id = c.id AND status NOT IN ('incomplete', 'incomplete_expired'))""",
    "user: erased, but personal data is left": """
        SELECT count(*) FROM users_user AS u JOIN users_profile AS p ON p.user_id = u.id WHERE deleted_at IS NOT NULL
        AND (is_active OR p.display_name <> '' OR u.email NOT LIKE 'deleted-%' OR u.password NOT LIKE '!%'
          OR EXISTS (SELECT FROM users_email_address WHERE user_id = u.id)
          OR EXISTS (SELECT FROM users_session WHERE user_id = u.id)
          OR EXISTS (SELECT FROM users_consent WHERE user_id = u.id)
          OR EXISTS (SELECT FROM notifications_preference WHERE user_id = u.id)
          OR EXISTS (SELECT FROM notifications_device WHERE user_id = u.id))""",
    "user: not one address and one profile": """
        SELECT count(*) FROM users_user AS u WHERE deleted_at IS NULL AND (
            (SELECT array_agg(email) FROM users_email_address WHERE user_id = u.id AND is_primary) <> ARRAY[u.email]
            OR (SELECT count(*) FROM users_profile WHERE user_id = u.id) <> 1)""",
    "something happened after the history ended": """
        SELECT (SELECT count(*) FROM payments_payment WHERE updated_at > %(as_of)s)
             + (SELECT count(*) FROM payments_ledger_transaction WHERE created_at > %(as_of)s)
             + (SELECT count(*) FROM payments_payment_attempt WHERE finished_at > %(as_of)s)
             + (SELECT count(*) FROM payments_refund WHERE updated_at > %(as_of)s)
             + (SELECT count(*) FROM payments_dispute WHERE updated_at > %(as_of)s)
             + (SELECT count(*) FROM payments_payout WHERE updated_at > %(as_of)s)
             + (SELECT count(*) FROM payments_invoice WHERE updated_at > %(as_of)s)
             + (SELECT count(*) FROM payments_subscription WHERE updated_at > %(as_of)s)
             + (SELECT count(*) FROM payments_stripe_webhook_event WHERE created_at > %(as_of)s)
             + (SELECT count(*) FROM notifications_notification_log WHERE greatest(created_at, sent_at) > %(as_of)s)
             + (SELECT count(*) FROM users_session WHERE last_used_at > %(as_of)s)
             + (SELECT count(*) FROM users_user WHERE greatest(updated_at, last_login) > %(as_of)s)""",
}


def broken() -> list[str]:
    as_of = datetime.combine(AS_OF, datetime.min.time(), UTC)
    found = []
    for rule, sql in WRONG.items():
        asks = "%(as_of)s" in sql
        ((count,),) = query(sql.replace("%(as_of)s", f"'{as_of.isoformat()}'::timestamptz") if asks else sql)
        if count:
            found.append(f"{rule}: {count}")
    return found


def test_every_rule_holds_in_a_small_company():
    seed()
    assert broken() == []


def test_every_rule_holds_in_a_larger_company():
    seed(users=1500, payments=12_000, seed=7)
    assert broken() == []


def test_fees_are_those_of_the_schedule():
    seed()
    fees = Fee.objects.select_related("payment__currency", "schedule")
    for fee in fees:
        decimals, schedule = fee.payment.currency.decimals, fee.schedule
        assert schedule.currency_id == fee.currency_id == fee.payment.currency_id
        fixed = to_minor(schedule.fixed, decimals)
        expected = fee_minor(to_minor(fee.payment.amount, decimals), schedule.percent_bp, fixed)
        assert to_minor(fee.amount, decimals) == expected
    assert len(fees) > 300


def test_every_booking_moves_money_as_the_ledger_does():
    seed()
    booked = LedgerTransaction.objects.prefetch_related("entries__account")
    found = set()
    for transaction in booked:
        gains, gives = sorted(transaction.entries.all(), key=lambda entry: -entry.amount)
        found.add((transaction.kind, gains.account.kind, gives.account.kind))
    assert found == {(kind, gains, gives) for kind, (gains, gives) in MOVES.items()}
    won = LedgerTransaction.objects.filter(kind=TransactionKind.DISPUTE_WON)
    assert won.count() == Dispute.objects.filter(status="won").count()


def test_revenue_is_what_the_job_works_out():
    seed()
    figures = ["date", "currency_id", "gross", "refunds", "disputes", "fees", "net", "payments"]
    seeded = list(DailyRevenue.objects.order_by("date", "currency").values_list(*figures))
    assert len(seeded) > 200
    DailyRevenue.objects.all().delete()
    assert roll_up() > 200
    assert list(DailyRevenue.objects.order_by("date", "currency").values_list(*figures)) == seeded
