//! What can happen, and what it changes.

use crate::guards::Guard;
use crate::rules::{Decided, Seen, Side, Users};
use crate::state::{Calm, Change, Cutover, Decision, Keys, Open, Payment, Queue, Request, State, Step};
use crate::{Ask, Switch};

/// One step of somebody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The gateway sends a request to a side, which looks.
    Send(u8, Side),
    /// A side that was handed a request, or lets it wait, looks.
    Look(u8),
    /// A request has waited long enough: 503, and the client sends it again.
    GiveUp(u8),
    /// A side opens the transaction of a request and holds.
    Hold(u8),
    /// The transaction begins the payment, or finds it, and commits.
    Commit(u8),
    /// A side finishes the payment of a key: its request, its job, or the webhook.
    Finish(u8, Side),
    /// The sync carries the oldest transaction of a side to the other.
    Sync(Side),
    /// The operator decides who the new side is to act for.
    Operate(Users),
    /// cutover dies, if it lives, and starts. It may have been thought dead.
    Restart,
    /// cutover does its next step.
    Step(Who),
    /// Nothing new happens from here on.
    Calm(Calm),
}

/// Of two cutovers one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    /// The one that is meant.
    Cutover,
    /// The one that was thought dead.
    Zombie,
}

impl Switch {
    /// All that can happen.
    pub(crate) fn enabled(&self, state: &State, actions: &mut Vec<Action>) {
        for number in 0..self.size.requests.len() {
            self.of_request(state, index(number), actions);
        }
        for side in Side::BOTH {
            if !state.queues[side as usize].is_empty() {
                actions.push(Action::Sync(side));
            }
            for (key, payment) in state.at(side).payments.iter().enumerate() {
                if matches!(payment, Payment::Pending(by) if *by == side || !self.guards.has(Guard::FirstId))
                {
                    actions.push(Action::Finish(index(key), side));
                }
            }
        }
        let cutovers = [(Who::Cutover, &state.cutover), (Who::Zombie, &state.zombie)];
        let ready = cutovers.into_iter().filter(|(_, cutover)| {
            cutover
                .as_ref()
                .is_some_and(|cutover| self.can_step(state, cutover))
        });
        actions.extend(ready.map(|(who, _)| Action::Step(who)));
        if state.calm == Calm::No {
            self.of_operator(state, actions);
        }
    }

    fn of_request(&self, state: &State, number: u8, actions: &mut Vec<Action>) {
        let user = self.ask(number).user;
        match state.requests[usize::from(number)] {
            Request::Unsent => {
                let sides = Side::BOTH.into_iter().filter(|side| state.routes(*side, user));
                actions.extend(sides.map(|side| Action::Send(number, side)));
            }
            Request::At(side) if state.look(side, user, self.guards) == Seen::Settling => {
                // Once it is calm it waits, so that one who waits for ever is seen to.
                if state.calm == Calm::No {
                    actions.push(Action::GiveUp(number));
                }
            }
            Request::At(_) => actions.push(Action::Look(number)),
            Request::Seen(_) if self.guards.has(Guard::OwnershipHold) => actions.push(Action::Hold(number)),
            Request::Seen(_) | Request::Holding(_) => actions.push(Action::Commit(number)),
            Request::Done => {}
        }
    }

    fn can_step(&self, state: &State, cutover: &Cutover) -> bool {
        let first = cutover.decision.first;
        match cutover.step {
            Step::DecideFirst => !self.is_held(state, first),
            Step::DecideSecond => !self.is_held(state, first.other()),
            Step::Settle(side) => cutover.points[side.other() as usize] == 0,
            Step::Gateway => true,
        }
    }

    /// Whether a decision waits for somebody.
    fn is_held(&self, state: &State, side: Side) -> bool {
        self.guards.has(Guard::PgAdvisoryXactLock)
            && self.guards.has(Guard::PgAdvisoryXactLockShared)
            && state.requests.contains(&Request::Holding(side))
    }

    fn of_operator(&self, state: &State, actions: &mut Vec<Action>) {
        if state.record.generation < self.size.decisions {
            let wanted = self
                .size
                .shares
                .iter()
                .filter(|users| **users != state.record.users);
            let allowed = wanted.filter(|users| {
                !self.guards.has(Guard::OneWay) || order(self.open(state), **users).is_some()
            });
            actions.extend(allowed.map(|users| Action::Operate(*users)));
        }
        // Before its first step it makes no difference.
        if state
            .cutover
            .as_ref()
            .is_some_and(|cutover| cutover.step != Step::DecideFirst)
        {
            actions.push(Action::Restart);
        }
        if self.size.calms_down {
            actions.extend([Action::Calm(Calm::GoOn), Action::Calm(Calm::RollBack)]);
        }
    }

    /// What an action makes of a state.
    pub(crate) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Send(number, side) => self.look(state, number, side),
            Action::Look(number) => {
                if let Request::At(side) = state.requests[usize::from(number)] {
                    self.look(state, number, side);
                }
            }
            Action::GiveUp(number) => state.requests[usize::from(number)] = Request::Unsent,
            Action::Hold(number) => self.hold(state, number),
            Action::Commit(number) => self.commit(state, number),
            Action::Finish(key, side) => finish(state, key, side),
            Action::Sync(from) => self.sync(state, from),
            Action::Operate(users) => self.operate(state, users),
            Action::Restart => restart(state),
            Action::Step(who) => self.step(state, who),
            Action::Calm(calm) => {
                state.calm = calm;
                match calm {
                    Calm::RollBack => self.operate(state, 0),
                    Calm::GoOn if state.cutover.is_some() => restart(state),
                    Calm::GoOn | Calm::No => {}
                }
            }
        }
    }

    /// `only_ours`, `await_ours`.
    fn look(&self, state: &mut State, number: u8, side: Side) {
        state.requests[usize::from(number)] = match state.look(side, self.ask(number).user, self.guards) {
            Seen::Ours => Request::Seen(side),
            Seen::Settling => Request::At(side),
            Seen::Theirs => Request::At(side.other()),
        };
    }

    fn hold(&self, state: &mut State, number: u8) {
        let Request::Seen(side) = state.requests[usize::from(number)] else {
            return;
        };
        let seen = if self.guards.has(Guard::LookAfterLock) {
            state.look(side, self.ask(number).user, self.guards)
        } else {
            // As it was before the lock.
            Seen::Ours
        };
        state.requests[usize::from(number)] = match seen {
            Seen::Ours => Request::Holding(side),
            // BN503: the client sends it again.
            Seen::Settling => Request::Unsent,
            // BN421.
            Seen::Theirs => Request::At(side.other()),
        };
    }

    fn commit(&self, state: &mut State, number: u8) {
        let (Request::Seen(side) | Request::Holding(side)) = state.requests[usize::from(number)] else {
            return;
        };
        let Ask {
            user,
            key,
            waits_for_stripe,
        } = self.ask(number);
        state.requests[usize::from(number)] = Request::Done;
        let database = state.at_mut(side);
        let payment = &mut database.payments[usize::from(key)];
        if *payment != Payment::None && self.guards.has(Guard::PaymentIdempotencyKey) {
            return;
        }
        *payment = if waits_for_stripe {
            Payment::Pending(side)
        } else {
            Payment::Done(side)
        };
        database.users[usize::from(user)] |= 1 << key;
        once(&mut state.begun, &mut state.twice, key);
        if !waits_for_stripe {
            once(&mut state.finished, &mut state.twice, key);
        }
        state.queues[side as usize].push(Change::Begun(key));
    }

    /// The rows of the oldest transaction are read again, and written over there.
    fn sync(&self, state: &mut State, from: Side) {
        let Some(change) = state.queues[from as usize].pop() else {
            return;
        };
        let (Change::Begun(key) | Change::Finished(key)) = change;
        let source = state.at(from).clone();
        let target = state.at_mut(from.other());
        target.payments[usize::from(key)] = source.payments[usize::from(key)];
        if let Change::Begun(_) = change {
            let user = usize::from(self.user_of(key));
            target.users[user] = source.users[user];
        }
        for cutover in [&mut state.cutover, &mut state.zombie].into_iter().flatten() {
            let point = &mut cutover.points[from as usize];
            *point = point.saturating_sub(1);
        }
    }

    /// What the sides may go by.
    fn open(&self, state: &State) -> Open {
        if self.guards.has(Guard::EveryOpenDecision) {
            return state.open;
        }
        Open {
            all: state.record.users,
            any: state.record.users,
        }
    }

    fn operate(&self, state: &mut State, users: Users) {
        let first = order(self.open(state), users).unwrap_or(Side::New);
        let is_right = self.guards.has(Guard::GainingSideFirst);
        let decision = Decision {
            generation: state.record.generation + 1,
            users,
            first: if is_right { first } else { first.other() },
        };
        if self.guards.has(Guard::RecordFirst) {
            state.record = decision;
        }
        state.open.all &= users;
        state.open.any |= users;
        start(state, decision);
    }

    fn step(&self, state: &mut State, who: Who) {
        let slot = match who {
            Who::Cutover => &mut state.cutover,
            Who::Zombie => &mut state.zombie,
        };
        let Some(cutover) = slot.take() else { return };
        let decision = cutover.decision;
        let after = self.carry_out(state, cutover);
        if after.is_none() && !self.guards.has(Guard::RecordFirst) {
            state.record = decision;
        }
        match who {
            Who::Cutover => state.cutover = after,
            Who::Zombie => state.zombie = after,
        }
    }

    /// The next step of a cutover; none is left once it has done its last, or was refused.
    fn carry_out(&self, state: &mut State, mut cutover: Cutover) -> Option<Cutover> {
        let decision = cutover.decision;
        cutover.step = match cutover.step {
            Step::DecideFirst => {
                self.decide(state, decision, decision.first)?;
                if !self.guards.has(Guard::PointAfterDecisions) {
                    cutover.points = self.points(state);
                }
                Step::DecideSecond
            }
            Step::DecideSecond => {
                self.decide(state, decision, decision.first.other())?;
                if self.guards.has(Guard::PointAfterDecisions) {
                    cutover.points = self.points(state);
                }
                if decision == state.record {
                    state.open = Open {
                        all: decision.users,
                        any: decision.users,
                    };
                }
                Step::Gateway
            }
            Step::Gateway => {
                state.reload(decision.users);
                Step::Settle(decision.first)
            }
            Step::Settle(side) => {
                let rules = &mut state.at_mut(side).rules;
                rules.settle(decision.generation, self.guards);
                self.after_settling(decision, side)?
            }
        };
        Some(cutover)
    }

    fn decide(&self, state: &mut State, decision: Decision, side: Side) -> Option<()> {
        let Decision {
            generation, users, ..
        } = decision;
        let rules = &mut state.at_mut(side).rules;
        let decided = rules.decide(generation, users, self.guards);
        (decided == Decided::Written).then_some(())
    }

    fn points(&self, state: &State) -> [u8; 2] {
        let lengths = state.queues.map(Queue::len);
        if self.guards.has(Guard::WaitForSyncPoint) {
            lengths
        } else {
            [0; 2]
        }
    }

    /// First the side that gains, then the other one.
    fn after_settling(&self, decision: Decision, side: Side) -> Option<Step> {
        let goes_on = side == decision.first && self.guards.has(Guard::SettleBothSides);
        goes_on.then_some(Step::Settle(side.other()))
    }
}

/// Which side decides first: one that loses nobody by it, whichever decision since the last that both know it goes by. None where each may
/// lose somebody.
fn order(open: Open, users: Users) -> Option<Side> {
    if users & !open.all == 0 {
        Some(Side::Legacy)
    } else if open.any & !users == 0 {
        Some(Side::New)
    } else {
        None
    }
}

/// cutover goes on with what is recorded. Without the record it knows the last decision that was carried out.
fn restart(state: &mut State) {
    let decision = state.record;
    if decision.generation > 0 {
        start(state, decision);
    } else {
        state.zombie = state.cutover.take();
    }
}

/// Whoever carried out something else may be in the middle of it.
fn start(state: &mut State, decision: Decision) {
    let started = Cutover {
        decision,
        step: Step::DecideFirst,
        points: [0; 2],
    };
    if let Some(before) = state.cutover.replace(started) {
        state.zombie = Some(before);
    }
}

fn finish(state: &mut State, key: u8, side: Side) {
    let payment = &mut state.at_mut(side).payments[usize::from(key)];
    let Payment::Pending(by) = *payment else { return };
    *payment = Payment::Done(by);
    once(&mut state.finished, &mut state.twice, key);
    state.queues[side as usize].push(Change::Finished(key));
}

fn once(so_far: &mut Keys, twice: &mut Keys, key: u8) {
    *twice |= *so_far & (1 << key);
    *so_far |= 1 << key;
}

fn index(position: usize) -> u8 {
    u8::try_from(position).expect("few of all")
}
