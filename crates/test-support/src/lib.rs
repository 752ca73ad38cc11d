//! A database and a vhost per test, sinks, clients, fixtures.
