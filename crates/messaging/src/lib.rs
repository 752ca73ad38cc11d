//! Transactional outbox, relay, topology and consumer runtime over RabbitMQ and PostgreSQL.
