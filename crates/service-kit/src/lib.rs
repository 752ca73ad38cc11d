//! What every service binary shares: configuration, HTTP server, problem+json, auth, health, jobs, shutdown.
