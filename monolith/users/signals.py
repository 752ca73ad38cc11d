"""What other apps may want to do something about."""

from django.dispatch import Signal

# Sent with `user_id` inside the transaction that erases an account; what receivers delete goes with it.
account_erased = Signal()
