//! Starts and stops real PostgreSQL, RabbitMQ, nginx, the monolith and the services natively.
