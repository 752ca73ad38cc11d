//! PostgreSQL pool, migrations, transaction helpers and error classes.
