//! One after the other within a subject, side by side otherwise.

use std::collections::{HashMap, VecDeque};

/// Jobs in lanes by subject. At most one job of a lane is out at any time; the next comes out after [`Lanes::finished`].
#[derive(Debug)]
pub(crate) struct Lanes<J> {
    /// A lane is here while one of its jobs is ready or out; those behind it wait in the queue.
    busy: HashMap<String, VecDeque<J>>,
    ready: VecDeque<(Option<String>, J)>,
    waiting: usize,
}

impl<J> Default for Lanes<J> {
    fn default() -> Self {
        Self {
            busy: HashMap::new(),
            ready: VecDeque::new(),
            waiting: 0,
        }
    }
}

impl<J> Lanes<J> {
    /// Puts a job at the end of its lane. A job without a lane waits for nobody.
    pub(crate) fn push(&mut self, lane: Option<String>, job: J) {
        let Some(lane) = lane else {
            self.ready.push_back((None, job));
            return;
        };
        if let Some(queue) = self.busy.get_mut(&lane) {
            queue.push_back(job);
            self.waiting += 1;
        } else {
            self.busy.insert(lane.clone(), VecDeque::new());
            self.ready.push_back((Some(lane), job));
        }
    }

    /// Takes a job out whose lane is free. Give the lane back with [`Lanes::finished`].
    pub(crate) fn pop(&mut self) -> Option<(Option<String>, J)> {
        self.ready.pop_front()
    }

    /// The job that was out is done: the next of its lane is ready.
    pub(crate) fn finished(&mut self, lane: Option<String>) {
        let Some(lane) = lane else { return };
        match self.busy.get_mut(&lane).and_then(VecDeque::pop_front) {
            Some(job) => {
                self.waiting -= 1;
                self.ready.push_back((Some(lane), job));
            }
            None => {
                self.busy.remove(&lane);
            }
        }
    }

    /// Jobs that are not out.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.waiting
    }

    /// Drops every job that is not out.
    pub(crate) fn clear(&mut self) {
        self.busy.clear();
        self.ready.clear();
        self.waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the interleaving: order within a subject, never two of a subject at once, nothing lost.
        #[test]
        fn lanes_keep_order_and_lose_nothing(
            jobs in proptest::collection::vec((0_u8..4, any::<bool>()), 1..60),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let mut lanes = Lanes::default();
            for (number, (subject, laneless)) in jobs.iter().enumerate() {
                lanes.push((!laneless).then(|| subject.to_string()), number);
            }
            prop_assert_eq!(lanes.len(), jobs.len());
            let mut out: Vec<(Option<String>, usize)> = Vec::new();
            let mut done: Vec<(Option<String>, usize)> = Vec::new();
            for pick in picks {
                while let Some((lane, job)) = lanes.pop() {
                    prop_assert!(lane.is_none() || out.iter().all(|(other, _)| *other != lane));
                    out.push((lane, job));
                }
                if out.is_empty() { break; }
                let (lane, job) = out.swap_remove(pick.index(out.len()));
                lanes.finished(lane.clone());
                done.push((lane, job));
            }
            prop_assert_eq!(done.len(), jobs.len());
            prop_assert_eq!(lanes.len(), 0);
            prop_assert!(lanes.busy.is_empty());
            for subject in 0..4_u8 {
                let order: Vec<usize> = done.iter()
                    .filter(|(lane, _)| lane.as_deref() == Some(subject.to_string().as_str()))
                    .map(|(_, job)| *job).collect();
                prop_assert!(order.is_sorted());
            }
        }
    }
}
