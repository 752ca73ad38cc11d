"""Accounts: sign-up, login, sessions, e-mail verification, password reset."""
