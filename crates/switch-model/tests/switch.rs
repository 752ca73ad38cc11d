//! The whole model holds, and falls without any one of its guards.

use banyan_switch_model::properties::{
    NO_DOUBLE_EFFECT, NO_LOST_UPDATE, NOBODY_STUCK, ONE_OWNER, ROLLBACK_POSSIBLE, SOMEBODY_ANSWERS,
};
use banyan_switch_model::{Ask, Guard, Guards, Size, Switch};
use stateright::{Checker, HasDiscoveries, Model as _};

const CHARGE: Ask = Ask {
    user: 0,
    key: 0,
    waits_for_stripe: true,
};
const RETRY: Ask = CHARGE;
const ANOTHER: Ask = Ask {
    user: 0,
    key: 1,
    waits_for_stripe: false,
};
const SOMEBODY_ELSES: Ask = Ask {
    user: 1,
    key: 2,
    waits_for_stripe: false,
};

/// Nobody, one user, both.
const SHARES: &[u8] = &[0b00, 0b01, 0b11];

/// 1,305,000 states.
const THREE_DECISIONS: Size = Size {
    requests: &[CHARGE, RETRY],
    decisions: 3,
    shares: SHARES,
    calms_down: false,
};
/// 1,972,000 states.
const TWO_USERS: Size = Size {
    requests: &[CHARGE, RETRY, SOMEBODY_ELSES],
    decisions: 2,
    ..THREE_DECISIONS
};
/// 743,000 states.
const COMES_TO_AN_END: Size = Size {
    decisions: 2,
    calms_down: true,
    ..THREE_DECISIONS
};
/// For the guards, whose falls are found long before all has been seen, and the larger dose.
const ANY_MOMENT: Size = Size {
    calms_down: true,
    ..THREE_DECISIONS
};
const ONE_REQUEST: Size = Size {
    requests: &[CHARGE],
    ..ANY_MOMENT
};

fn check(size: Size, finish: HasDiscoveries, guards: Guards) -> impl Checker<Switch> {
    let model = Switch::new(size, guards);
    model.checker().finish_when(finish).spawn_bfs().join()
}

/// Everything that can happen at a size is looked at.
fn holds(name: &str, size: Size) {
    let checker = check(size, HasDiscoveries::AllFailures, Guards::ALL);
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, at most {depth} steps deep");
    checker.assert_properties();
}

/// The full size with `BANYAN_SOAK=1`, as everywhere.
fn dose(small: Size, full: Size) -> Size {
    let soak = std::env::var_os("BANYAN_SOAK").is_some_and(|value| !value.is_empty());
    if soak { full } else { small }
}

#[test]
fn holds_through_three_decisions() {
    holds("a charge, its retry, three decisions", THREE_DECISIONS);
}

#[test]
fn holds_for_two_users() {
    // 21,376,000 states.
    let with_another = Size {
        requests: &[CHARGE, RETRY, ANOTHER, SOMEBODY_ELSES],
        ..TWO_USERS
    };
    holds("two users, two decisions", dose(TWO_USERS, with_another));
}

#[test]
fn comes_to_an_end_from_any_moment() {
    // 3,936,000 states.
    holds(
        "a charge, its retry, calm at any moment",
        dose(COMES_TO_AN_END, ANY_MOMENT),
    );
}

/// Without a guard a property falls, and the way there is shown.
fn falls(guard: Guard, property: &'static str, size: Size) {
    let finish = HasDiscoveries::AnyOf([property].into());
    let checker = check(size, finish, Guards::ALL.without(guard));
    let Some(path) = checker.discovery(property) else {
        let states = checker.unique_state_count();
        panic!("without {guard:?} \"{property}\" holds in all {states} states");
    };
    println!("without {guard:?} not \"{property}\": {:?}", path.into_actions());
}

/// A test for each guard: without it, what falls, and at which size that is seen.
macro_rules! without {
    ($($name:ident: $guard:ident, $property:ident, $size:ident;)*) => {
        $(
            #[test]
            fn $name() {
                falls(Guard::$guard, $property, $size);
            }
        )*

        /// So that none is left out.
        #[test]
        fn each_guard_has_a_test() {
            assert_eq!([$(Guard::$guard),*].as_slice(), Guard::ALL);
        }
    };
}

without! {
    without_hold: OwnershipHold, NO_LOST_UPDATE, ANY_MOMENT;
    without_shared_lock: PgAdvisoryXactLockShared, ONE_OWNER, ANY_MOMENT;
    without_exclusive_lock: PgAdvisoryXactLock, ONE_OWNER, ANY_MOMENT;
    without_look_after_lock: LookAfterLock, ONE_OWNER, ANY_MOMENT;
    without_settling: OwnershipLookSettling, NO_LOST_UPDATE, ANY_MOMENT;
    without_refusal_of_older: OlderGenerationRefused, NOBODY_STUCK, ANY_MOMENT;
    without_settling_what_came_back: LookAtEveryRow, ONE_OWNER, ANY_MOMENT;
    without_the_meant_generation: OwnershipSettleMeantGeneration, ONE_OWNER, ANY_MOMENT;
    without_gaining_first: GainingSideFirst, SOMEBODY_ANSWERS, ANY_MOMENT;
    without_one_way: OneWay, SOMEBODY_ANSWERS, ANY_MOMENT;
    without_every_open_decision: EveryOpenDecision, NO_DOUBLE_EFFECT, ANY_MOMENT;
    without_waiting_for_the_sync: WaitForSyncPoint, NO_LOST_UPDATE, ANY_MOMENT;
    without_a_late_point: PointAfterDecisions, NO_LOST_UPDATE, ANY_MOMENT;
    without_settling_both: SettleBothSides, NOBODY_STUCK, ONE_REQUEST;
    without_record: RecordFirst, ROLLBACK_POSSIBLE, ANY_MOMENT;
    without_unique_key: PaymentIdempotencyKey, NO_DOUBLE_EFFECT, ANY_MOMENT;
    without_first_id: FirstId, NO_DOUBLE_EFFECT, ANY_MOMENT;
}
