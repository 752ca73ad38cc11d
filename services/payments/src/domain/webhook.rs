//! Events of Stripe's, and how far they were taken.

named! {
    /// How far an event was taken.
    WebhookStatus {
        /// Not handled yet, or the handling failed: Stripe sends it again.
        Received = "received",
        /// It was about something of ours, which is now as Stripe has it.
        Processed = "processed",
        /// It was about nothing of ours, or of a type that nothing is done about.
        Ignored = "ignored",
    }
}
