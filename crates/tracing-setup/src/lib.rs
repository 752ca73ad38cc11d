//! OTLP export, W3C trace context over HTTP and AMQP, JSON logs.
