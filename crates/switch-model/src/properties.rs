//! What must hold, and what the model must come by to be worth anything.

use stateright::{Model as _, Property};

use crate::Switch;
use crate::rules::{Seen, Side};
use crate::state::{Calm, Payment, Request, State, Step, USERS};

/// Never may both sides begin something for one user.
pub const ONE_OWNER: &str = "one owner per user";
/// Who acts for a user has everything that was begun for them.
pub const NO_LOST_UPDATE: &str = "no lost update";
/// A key begins once and takes effect once.
pub const NO_DOUBLE_EFFECT: &str = "no double effect";
/// Never do both sides hand a user over.
pub const SOMEBODY_ANSWERS: &str = "somebody answers";
/// From everywhere the rollback ends with all users the monolith's and served.
pub const ROLLBACK_POSSIBLE: &str = "rollback always possible";
/// From everywhere, once cutover runs again, its decision is carried out and every request answered.
pub const NOBODY_STUCK: &str = "no request is stuck";

pub(crate) fn all() -> Vec<Property<Switch>> {
    vec![
        Property::always(ONE_OWNER, one_owner),
        Property::always(NO_LOST_UPDATE, no_lost_update),
        Property::always(NO_DOUBLE_EFFECT, |_, state: &State| state.twice == 0),
        Property::always(SOMEBODY_ANSWERS, somebody_answers),
        Property::always(ROLLBACK_POSSIBLE, |model, state| {
            ends_well(model, state, Calm::RollBack)
        }),
        Property::always(NOBODY_STUCK, |model, state| ends_well(model, state, Calm::GoOn)),
        Property::sometimes("a mover waits", a_mover_waits),
        Property::sometimes("a request is handed over", handed_over),
        Property::sometimes("a transaction finds that its user was given away", given_away),
        Property::sometimes("a shift is turned back in the middle", turned_back),
        Property::sometimes("a zombie is refused", zombie_refused),
        Property::sometimes("a zombie settles too late", zombie_settles),
        Property::sometimes(
            "what was begun is finished by whoever began it",
            finished_elsewhere,
        ),
        Property::sometimes("a retry finds the other side's payment pending", retry_elsewhere),
        Property::sometimes("both sides act, for different users", both_act),
    ]
}

fn users() -> impl Iterator<Item = u8> {
    (0..USERS).map(|user| u8::try_from(user).expect("few"))
}

/// Whether a side acts for a user, or would if asked. Without rules nobody is sent to the new side, so only what it really does counts.
fn acts(model: &Switch, state: &State, side: Side, user: u8) -> bool {
    let may = state.look(side, user, model.guards()) == Seen::Ours;
    let would = may && (!state.at(side).rules.is_empty() || side == Side::Legacy);
    would || in_transaction(model, state, side, user)
}

fn in_transaction(model: &Switch, state: &State, side: Side, user: u8) -> bool {
    model
        .asks()
        .any(|(number, ask)| ask.user == user && state.requests[number] == Request::Holding(side))
}

fn one_owner(model: &Switch, state: &State) -> bool {
    users().all(|user| !Side::BOTH.iter().all(|side| acts(model, state, *side, user)))
}

fn no_lost_update(model: &Switch, state: &State) -> bool {
    users().all(|user| {
        let begun = state.begun & model.keys_of(user);
        Side::BOTH
            .iter()
            .all(|side| !acts(model, state, *side, user) || state.at(*side).users[usize::from(user)] == begun)
    })
}

fn somebody_answers(model: &Switch, state: &State) -> bool {
    let theirs = |side: &Side, user| state.look(*side, user, model.guards()) == Seen::Theirs;
    users().all(|user| !Side::BOTH.iter().all(|side| theirs(side, user)))
}

/// Where nothing can happen any more, all is as it should be.
fn ends_well(model: &Switch, state: &State, calm: Calm) -> bool {
    if state.calm != calm {
        return true;
    }
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    !actions.is_empty() || is_at_rest(model, state)
}

/// The last decision is carried out, everybody was answered, and both databases have the same, nothing of it lost.
fn is_at_rest(model: &Switch, state: &State) -> bool {
    let [legacy, new] = &state.sides;
    is_carried_out(model, state)
        && (state.calm != Calm::RollBack || state.record.users == 0)
        && state.requests.iter().all(|request| *request == Request::Done)
        && state.finished == state.begun
        && legacy.payments == new.payments
        && legacy.users == new.users
        && users().all(|user| legacy.users[usize::from(user)] == state.begun & model.keys_of(user))
}

fn is_carried_out(model: &Switch, state: &State) -> bool {
    let as_decided = |side: Side, user| {
        let is_its = Side::of(state.record.users, user) == side;
        let wanted = if is_its { Seen::Ours } else { Seen::Theirs };
        state.look(side, user, model.guards()) == wanted
    };
    state.record.generation == 0 || users().all(|user| Side::BOTH.iter().all(|side| as_decided(*side, user)))
}

fn a_mover_waits(model: &Switch, state: &State) -> bool {
    model.asks().any(|(number, ask)| match state.requests[number] {
        Request::At(side) => state.look(side, ask.user, model.guards()) == Seen::Settling,
        _ => false,
    })
}

/// At the new side, to which the gateway never sent the user.
fn handed_over(model: &Switch, state: &State) -> bool {
    model.asks().any(|(number, ask)| {
        state.requests[number] == Request::At(Side::New) && !state.routes(Side::New, ask.user)
    })
}

fn given_away(model: &Switch, state: &State) -> bool {
    model.asks().any(|(number, ask)| match state.requests[number] {
        Request::Seen(side) => state.look(side, ask.user, model.guards()) == Seen::Theirs,
        _ => false,
    })
}

/// Only then does it settle on both sides.
fn turned_back(model: &Switch, state: &State) -> bool {
    users().any(|user| {
        Side::BOTH
            .iter()
            .all(|side| state.look(*side, user, model.guards()) == Seen::Settling)
    })
}

fn both_act(model: &Switch, state: &State) -> bool {
    let is_ours = |side: Side, user| state.look(side, user, model.guards()) == Seen::Ours;
    Side::BOTH
        .iter()
        .all(|side| !state.at(*side).rules.is_empty() && users().any(|user| is_ours(*side, user)))
}

fn zombie_refused(_: &Switch, state: &State) -> bool {
    state.zombie.as_ref().is_some_and(|zombie| {
        let side = match zombie.step {
            Step::DecideFirst => zombie.decision.first,
            Step::DecideSecond => zombie.decision.first.other(),
            Step::Gateway | Step::Settle(_) => return false,
        };
        state.at(side).rules.generation() > zombie.decision.generation
    })
}

fn zombie_settles(_: &Switch, state: &State) -> bool {
    state.zombie.as_ref().is_some_and(|zombie| {
        matches!(zombie.step, Step::Settle(_))
            && Side::BOTH
                .iter()
                .all(|side| state.at(*side).rules.generation() > zombie.decision.generation)
    })
}

fn finished_elsewhere(model: &Switch, state: &State) -> bool {
    model.asks().any(|(_, ask)| {
        Side::BOTH.iter().any(|side| {
            state.at(*side).payments[usize::from(ask.key)] == Payment::Pending(*side)
                && acts(model, state, side.other(), ask.user)
        })
    })
}

fn retry_elsewhere(model: &Switch, state: &State) -> bool {
    model.asks().any(|(number, ask)| match state.requests[number] {
        Request::Holding(side) => {
            state.at(side).payments[usize::from(ask.key)] == Payment::Pending(side.other())
        }
        _ => false,
    })
}
