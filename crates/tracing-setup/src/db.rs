//! Spans of database statements.

use tracing::{Span, info_span};

/// The client span `<operation> <table>` of one PostgreSQL statement.
///
/// `operation` is the SQL verb in capitals; both go into the span's name, so neither may be made from input.
/// See <https://opentelemetry.io/docs/specs/semconv/database/postgresql/>.
pub fn span(operation: &'static str, table: &'static str) -> Span {
    info_span!(
        "db",
        otel.name = format!("{operation} {table}"),
        otel.kind = "client",
        db.system.name = "postgresql",
        db.operation.name = operation,
        db.collection.name = table,
    )
}
