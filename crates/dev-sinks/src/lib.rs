//! Local mail and OTLP sinks for the development stack and the tests.
