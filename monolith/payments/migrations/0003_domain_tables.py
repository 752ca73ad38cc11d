"""The rest of the domain: refunds, disputes, payouts, ledger, fees, subscriptions, invoices, webhooks."""

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0002_currencies"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Coupon",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=40, unique=True)),
                ("percent_off", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("amount_off", models.DecimalField(blank=True, decimal_places=3, max_digits=14, null=True)),
                (
                    "duration",
                    models.CharField(choices=[("once", "Once"), ("forever", "Forever")], default="once", max_length=10),
                ),
                ("max_redemptions", models.PositiveIntegerField(blank=True, null=True)),
                ("times_redeemed", models.PositiveIntegerField(default=0)),
                ("valid_until", models.DateTimeField(blank=True, null=True)),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="Dispute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stripe_dispute_id", models.CharField(max_length=64, unique=True)),
                ("amount", models.DecimalField(decimal_places=3, max_digits=14)),
                ("reason", models.CharField(max_length=60)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("warning_needs_response", "Warning Needs Response"),
                            ("warning_under_review", "Warning Under Review"),
                            ("warning_closed", "Warning Closed"),
                            ("needs_response", "Needs Response"),
                            ("under_review", "Under Review"),
                            ("won", "Won"),
                            ("lost", "Lost"),
                            ("prevented", "Prevented"),
                        ],
                        max_length=30,
                    ),
                ),
                ("is_withdrawn", models.BooleanField(default=False)),
                ("due_by", models.DateTimeField(blank=True, null=True)),
                ("stripe_event_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="DisputeEvidence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("receipt", "Receipt"),
                            ("refund_history", "Refund History"),
                            ("product_description", "Product Description"),
                            ("customer_communication", "Customer Communication"),
                            ("uncategorized_text", "Uncategorized Text"),
                        ],
                        max_length=30,
                    ),
                ),
                ("content", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("submitted_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "payments_dispute_evidence",
            },
        ),
        migrations.CreateModel(
            name="ExchangeRate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rate", models.DecimalField(decimal_places=8, max_digits=18)),
                ("valid_on", models.DateField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "payments_exchange_rate",
            },
        ),
        migrations.CreateModel(
            name="Fee",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount", models.DecimalField(decimal_places=3, max_digits=14)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="FeeSchedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("percent_bp", models.PositiveIntegerField()),
                ("fixed", models.DecimalField(decimal_places=3, max_digits=14)),
                ("valid_from", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "payments_fee_schedule",
            },
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.CharField(max_length=30, unique=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("open", "Open"),
                            ("paid", "Paid"),
                            ("uncollectible", "Uncollectible"),
                            ("void", "Void"),
                        ],
                        default="open",
                        max_length=20,
                    ),
                ),
                ("subtotal", models.DecimalField(decimal_places=3, max_digits=14)),
                ("discount", models.DecimalField(decimal_places=3, default=0, max_digits=14)),
                ("total", models.DecimalField(decimal_places=3, max_digits=14)),
                ("period_start", models.DateTimeField()),
                ("period_end", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("paid_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="InvoiceLine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("description", models.CharField(max_length=200)),
                ("amount", models.DecimalField(decimal_places=3, max_digits=14)),
                ("period_start", models.DateTimeField()),
                ("period_end", models.DateTimeField()),
                ("proration", models.BooleanField(default=False)),
            ],
            options={
                "db_table": "payments_invoice_line",
            },
        ),
        migrations.CreateModel(
            name="LedgerAccount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("stripe", "Stripe"),
                            ("bank", "Bank"),
                            ("disputes", "Disputes"),
                            ("fees", "Fees"),
                            ("customer", "Customer"),
                        ],
                        max_length=20,
                    ),
                ),
                ("balance", models.DecimalField(decimal_places=3, default=0, max_digits=18)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "payments_ledger_account",
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount", models.DecimalField(decimal_places=3, max_digits=18)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "ledger entries",
                "db_table": "payments_ledger_entry",
            },
        ),
        migrations.CreateModel(
            name="LedgerTransaction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("charge", "Charge"),
                            ("fee", "Fee"),
                            ("refund", "Refund"),
                            ("refund_failed", "Refund Failed"),
                            ("dispute_opened", "Dispute Opened"),
                            ("dispute_won", "Dispute Won"),
                            ("dispute_lost", "Dispute Lost"),
                            ("payout", "Payout"),
                            ("payout_failed", "Payout Failed"),
                        ],
                        max_length=20,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "payments_ledger_transaction",
            },
        ),
        migrations.CreateModel(
            name="Payout",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount", models.DecimalField(decimal_places=3, max_digits=18)),
                ("payment_count", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("in_transit", "In Transit"),
                            ("paid", "Paid"),
                            ("failed", "Failed"),
                            ("canceled", "Canceled"),
                        ],
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("stripe_payout_id", models.CharField(blank=True, max_length=64, null=True, unique=True)),
                ("failure_code", models.CharField(blank=True, max_length=64)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("paid_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="PayoutItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount", models.DecimalField(decimal_places=3, max_digits=14)),
                ("is_released", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "payments_payout_item",
            },
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=60, unique=True)),
                ("name", models.CharField(max_length=100)),
                ("amount", models.DecimalField(decimal_places=3, max_digits=14)),
                ("interval", models.CharField(choices=[("month", "Month"), ("year", "Year")], max_length=10)),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount", models.DecimalField(decimal_places=3, max_digits=14)),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("succeeded", "Succeeded"), ("failed", "Failed")],
                        default="pending",
                        max_length=20,
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("duplicate", "Duplicate"),
                            ("fraudulent", "Fraudulent"),
                            ("requested_by_customer", "Requested By Customer"),
                        ],
                        max_length=30,
                    ),
                ),
                ("idempotency_key", models.CharField(blank=True, max_length=255, null=True)),
                ("request_fingerprint", models.CharField(blank=True, max_length=64)),
                ("stripe_refund_id", models.CharField(blank=True, max_length=64, null=True, unique=True)),
                ("failure_code", models.CharField(blank=True, max_length=64)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="StripeWebhookEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stripe_event_id", models.CharField(max_length=255, unique=True)),
                ("type", models.CharField(max_length=100)),
                ("object_id", models.CharField(blank=True, max_length=255)),
                (
                    "status",
                    models.CharField(
                        choices=[("received", "Received"), ("processed", "Processed"), ("ignored", "Ignored")],
                        default="received",
                        max_length=20,
                    ),
                ),
                ("stripe_created_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("processed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "payments_stripe_webhook_event",
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("incomplete", "Incomplete"),
                            ("incomplete_expired", "Incomplete Expired"),
                            ("active", "Active"),
                            ("past_due", "Past Due"),
                            ("canceled", "Canceled"),
                        ],
                        default="incomplete",
                        max_length=20,
                    ),
                ),
                ("idempotency_key", models.CharField(max_length=255)),
                ("request_fingerprint", models.CharField(max_length=64)),
                ("billing_anchor", models.DateTimeField()),
                ("current_period_start", models.DateTimeField()),
                ("current_period_end", models.DateTimeField()),
                ("cancel_at_period_end", models.BooleanField(default=False)),
                ("next_billing_at", models.DateTimeField()),
                ("failed_attempts", models.PositiveSmallIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("canceled_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AddField(
            model_name="payment",
            name="amount_authorized",
            field=models.DecimalField(blank=True, decimal_places=3, max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name="payment",
            name="off_session",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="payment",
            name="payout_due",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="paymentattempt",
            name="amount",
            field=models.DecimalField(blank=True, decimal_places=3, max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name="paymentattempt",
            name="operation",
            field=models.CharField(
                choices=[("charge", "Charge"), ("capture", "Capture"), ("cancel", "Cancel")],
                default="charge",
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("payout_due", True)),
                fields=["currency", "completed_at"],
                name="payments_payment_payout_due",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("completed_at__isnull", False)),
                fields=["completed_at"],
                name="payments_payment_completed",
            ),
        ),
        migrations.AddIndex(
            model_name="paymentattempt",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ["started", "unknown"]), models.Q(("operation", "charge"), _negated=True)
                ),
                fields=["started_at"],
                name="payments_attempt_unsettled",
            ),
        ),
        migrations.AddField(
            model_name="coupon",
            name="currency",
            field=models.ForeignKey(
                blank=True,
                db_column="currency",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="dispute",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="dispute",
            name="payment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="disputes", to="payments.payment"
            ),
        ),
        migrations.AddField(
            model_name="disputeevidence",
            name="dispute",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="evidence", to="payments.dispute"
            ),
        ),
        migrations.AddField(
            model_name="exchangerate",
            name="base",
            field=models.ForeignKey(
                db_column="base",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="exchangerate",
            name="quote",
            field=models.ForeignKey(
                db_column="quote",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="fee",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="fee",
            name="payment",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="fee", to="payments.payment"
            ),
        ),
        migrations.AddField(
            model_name="feeschedule",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="fee",
            name="schedule",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="fees", to="payments.feeschedule"
            ),
        ),
        migrations.AddField(
            model_name="invoice",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="invoice",
            name="payment",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="invoice",
                to="payments.payment",
            ),
        ),
        migrations.AddField(
            model_name="invoice",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="invoices", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="invoiceline",
            name="invoice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="lines", to="payments.invoice"
            ),
        ),
        migrations.AddField(
            model_name="ledgeraccount",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="ledgeraccount",
            name="customer",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ledger_accounts",
                to="payments.customer",
            ),
        ),
        migrations.AddField(
            model_name="ledgerentry",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="entries", to="payments.ledgeraccount"
            ),
        ),
        migrations.AddField(
            model_name="ledgerentry",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="ledgertransaction",
            name="dispute",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ledger_transactions",
                to="payments.dispute",
            ),
        ),
        migrations.AddField(
            model_name="ledgertransaction",
            name="payment",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ledger_transactions",
                to="payments.payment",
            ),
        ),
        migrations.AddField(
            model_name="ledgerentry",
            name="transaction",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="entries", to="payments.ledgertransaction"
            ),
        ),
        migrations.AddField(
            model_name="payout",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="ledgertransaction",
            name="payout",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ledger_transactions",
                to="payments.payout",
            ),
        ),
        migrations.AddField(
            model_name="payoutitem",
            name="payment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="payout_items", to="payments.payment"
            ),
        ),
        migrations.AddField(
            model_name="payoutitem",
            name="payout",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="items", to="payments.payout"
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="invoiceline",
            name="plan",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="payments.plan"),
        ),
        migrations.AddField(
            model_name="refund",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="payment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="refunds", to="payments.payment"
            ),
        ),
        migrations.AddField(
            model_name="ledgertransaction",
            name="refund",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ledger_transactions",
                to="payments.refund",
            ),
        ),
        migrations.AddIndex(
            model_name="stripewebhookevent",
            index=models.Index(fields=["object_id"], name="payments_webhook_of_object"),
        ),
        migrations.AddConstraint(
            model_name="stripewebhookevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["received", "processed", "ignored"])),
                name="payments_stripe_webhook_event_status",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="coupon",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="subscriptions",
                to="payments.coupon",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="currency",
            field=models.ForeignKey(
                db_column="currency",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.currency",
                to_field="code",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="customer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="subscriptions", to="payments.customer"
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="payment_method",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="subscriptions", to="payments.paymentmethod"
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="plan",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="subscriptions", to="payments.plan"
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="replaces",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="replaced_by",
                to="payments.subscription",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="subscriptions", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="invoice",
            name="subscription",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="invoices", to="payments.subscription"
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("amount_off__isnull", True),
                        ("currency__isnull", True),
                        ("percent_off__gte", 1),
                        ("percent_off__lte", 100),
                    ),
                    models.Q(("amount_off__gt", 0), ("currency__isnull", False), ("percent_off__isnull", True)),
                    _connector="OR",
                ),
                name="payments_coupon_percent_or_amount",
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(("duration__in", ["once", "forever"])), name="payments_coupon_duration"
            ),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(fields=["payment"], name="payments_dispute_of_payment"),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(
                condition=models.Q(("closed_at", None)), fields=["due_by"], name="payments_dispute_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="payments_dispute_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        [
                            "warning_needs_response",
                            "warning_under_review",
                            "warning_closed",
                            "needs_response",
                            "under_review",
                            "won",
                            "lost",
                            "prevented",
                        ],
                    )
                ),
                name="payments_dispute_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="disputeevidence",
            constraint=models.UniqueConstraint(fields=("dispute", "kind"), name="payments_dispute_evidence_kind_once"),
        ),
        migrations.AddConstraint(
            model_name="exchangerate",
            constraint=models.UniqueConstraint(
                fields=("base", "quote", "valid_on"), name="payments_exchange_rate_per_day"
            ),
        ),
        migrations.AddConstraint(
            model_name="exchangerate",
            constraint=models.CheckConstraint(
                condition=models.Q(("rate__gt", 0)), name="payments_exchange_rate_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="exchangerate",
            constraint=models.CheckConstraint(
                condition=models.Q(("base", models.F("quote")), _negated=True), name="payments_exchange_rate_two"
            ),
        ),
        migrations.AddConstraint(
            model_name="feeschedule",
            constraint=models.UniqueConstraint(fields=("currency", "valid_from"), name="payments_fee_schedule_from"),
        ),
        migrations.AddConstraint(
            model_name="feeschedule",
            constraint=models.CheckConstraint(
                condition=models.Q(("fixed__gte", 0), ("percent_bp__lte", 10000)), name="payments_fee_schedule_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="fee",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="payments_fee_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.UniqueConstraint(
                condition=models.Q(("customer", None)), fields=("kind", "currency"), name="payments_ledger_account_own"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.UniqueConstraint(
                condition=models.Q(("customer__isnull", False)),
                fields=("customer", "currency"),
                name="payments_ledger_account_of_customer",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["stripe", "bank", "disputes", "fees", "customer"])),
                name="payments_ledger_account_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("customer__isnull", False), ("kind", "customer")),
                    models.Q(models.Q(("kind", "customer"), _negated=True), ("customer", None)),
                    _connector="OR",
                ),
                name="payments_ledger_account_customer",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount", 0), _negated=True), name="payments_ledger_entry_not_zero"
            ),
        ),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index(
                condition=models.Q(("status__in", ["pending", "in_transit"])),
                fields=["created_at"],
                name="payments_payout_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="payments_payout_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "in_transit", "paid", "failed", "canceled"])),
                name="payments_payout_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "paid"), _negated=True), ("paid_at__isnull", False), _connector="OR"
                ),
                name="payments_payout_paid_at",
            ),
        ),
        migrations.AddConstraint(
            model_name="payoutitem",
            constraint=models.UniqueConstraint(fields=("payout", "payment"), name="payments_payout_item_payment_once"),
        ),
        migrations.AddConstraint(
            model_name="payoutitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount", 0), _negated=True), name="payments_payout_item_not_zero"
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="payments_plan_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(("interval__in", ["month", "year"])), name="payments_plan_interval"
            ),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(fields=["payment", "-created_at", "-id"], name="payments_refund_of_payment"),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["created_at"], name="payments_refund_pending"
            ),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(
                condition=models.Q(("status", "succeeded")), fields=["completed_at"], name="payments_refund_completed"
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.UniqueConstraint(
                fields=("payment", "idempotency_key"), name="payments_refund_idempotency_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="payments_refund_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "succeeded", "failed"])), name="payments_refund_status"
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "succeeded"), _negated=True),
                    models.Q(("completed_at__isnull", False), ("stripe_refund_id__isnull", False)),
                    _connector="OR",
                ),
                name="payments_refund_succeeded_is_at_stripe",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgertransaction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind__in", ["charge", "fee"])),
                fields=("payment", "kind"),
                name="payments_ledger_charge_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgertransaction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("refund__isnull", False)),
                fields=("refund", "kind"),
                name="payments_ledger_refund_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgertransaction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("dispute__isnull", False)),
                fields=("dispute", "kind"),
                name="payments_ledger_dispute_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgertransaction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("payout__isnull", False)),
                fields=("payout", "kind"),
                name="payments_ledger_payout_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgertransaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "charge",
                            "fee",
                            "refund",
                            "refund_failed",
                            "dispute_opened",
                            "dispute_won",
                            "dispute_lost",
                            "payout",
                            "payout_failed",
                        ],
                    )
                ),
                name="payments_ledger_transaction_kind",
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("status__in", ["active", "past_due"])),
                fields=["next_billing_at"],
                name="payments_subscription_due",
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["user", "-created_at", "-id"], name="payments_subscription_of_user"),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                fields=("user", "idempotency_key"), name="payments_subscription_idempotency_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["active", "past_due"])),
                fields=("user", "currency"),
                name="payments_subscription_one_per_currency",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "incomplete")),
                fields=("user", "currency"),
                name="payments_subscription_one_incomplete",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["incomplete", "incomplete_expired", "active", "past_due", "canceled"])
                ),
                name="payments_subscription_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("current_period_end__gt", models.F("current_period_start"))),
                name="payments_subscription_period",
            ),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(fields=["user", "-created_at", "-id"], name="payments_invoice_of_user"),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                fields=("subscription", "period_start"), name="payments_invoice_per_period"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["draft", "open", "paid", "uncollectible", "void"])),
                name="payments_invoice_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("discount__gte", 0),
                    (
                        "total",
                        django.db.models.expressions.CombinedExpression(
                            models.F("subtotal"), "-", models.F("discount")
                        ),
                    ),
                    ("total__gte", 0),
                ),
                name="payments_invoice_total",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "paid"), _negated=True), ("paid_at__isnull", False), _connector="OR"
                ),
                name="payments_invoice_paid_at",
            ),
        ),
    ]
