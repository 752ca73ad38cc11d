//! What keeps the switch right, each to be taken out by itself.

/// One guard, named as in the code. The table in the crate's documentation says where each is and what falls without it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Guard {
    /// `ownership_hold`: a transaction that begins something asks again.
    OwnershipHold,
    /// `pg_advisory_xact_lock_shared` in `ownership_hold`: the answer holds until the transaction ends.
    PgAdvisoryXactLockShared,
    /// `pg_advisory_xact_lock` in `ownership_decide`: a decision waits for whoever holds.
    PgAdvisoryXactLock,
    /// `ownership_hold` is PL/pgSQL, and looks with a snapshot of after the lock.
    LookAfterLock,
    /// `ownership_look` answers `settling`, and the request waits.
    OwnershipLookSettling,
    /// `ownership_decide` refuses a generation older than the last.
    OlderGenerationRefused,
    /// `ownership_look` goes by every row, and so lets settle what was lost and gained again.
    LookAtEveryRow,
    /// `ownership_settle` is for the generation that it names.
    OwnershipSettleMeantGeneration,
    /// cutover decides on the gaining side first.
    GainingSideFirst,
    /// cutover makes no decision by which both sides may lose somebody.
    OneWay,
    /// cutover goes, for these two, by every decision since the last that both sides know, and not by the last alone.
    EveryOpenDecision,
    /// cutover waits for the sync before it settles.
    WaitForSyncPoint,
    /// cutover takes the point to wait for once both sides have decided.
    PointAfterDecisions,
    /// cutover settles both sides, not only the one that gains by the last decision.
    SettleBothSides,
    /// cutover's record is written before its first decision, with a number of its own.
    RecordFirst,
    /// `payment_idempotency_key`: once per user and key in each database.
    PaymentIdempotencyKey,
    /// `first_id`, `own_rows.own`: what the other side began is left alone.
    FirstId,
}

impl Guard {
    /// Each.
    pub const ALL: &[Self] = &[
        Self::OwnershipHold,
        Self::PgAdvisoryXactLockShared,
        Self::PgAdvisoryXactLock,
        Self::LookAfterLock,
        Self::OwnershipLookSettling,
        Self::OlderGenerationRefused,
        Self::LookAtEveryRow,
        Self::OwnershipSettleMeantGeneration,
        Self::GainingSideFirst,
        Self::OneWay,
        Self::EveryOpenDecision,
        Self::WaitForSyncPoint,
        Self::PointAfterDecisions,
        Self::SettleBothSides,
        Self::RecordFirst,
        Self::PaymentIdempotencyKey,
        Self::FirstId,
    ];
}

/// Which guards are in.
#[derive(Clone, Copy, Debug)]
pub struct Guards(u32);

impl Guards {
    /// All of them.
    pub const ALL: Self = Self(u32::MAX);

    /// These but for one.
    #[must_use]
    pub const fn without(self, guard: Guard) -> Self {
        Self(self.0 & !(1 << guard as u8))
    }

    /// Whether a guard is in.
    pub const fn has(self, guard: Guard) -> bool {
        self.0 & (1 << guard as u8) != 0
    }
}
