"""Announcing events, composing mails, delivering them."""
