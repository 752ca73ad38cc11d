//! The frozen rule against the committed vectors, which Python's tests read as well.

use banyan_cohort::{FULL, in_cohort, murmur2, position};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Golden {
    hashes: Vec<Hash>,
    decisions: Vec<Decision>,
    counts: Vec<Count>,
}

#[derive(Deserialize)]
struct Hash {
    text: String,
    murmur2: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decision {
    rollout: String,
    user_id: i64,
    enabled_from: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    rollout: String,
    first_user_id: i64,
    last_user_id: i64,
    basis_points: u16,
    enabled: usize,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden.json")).expect("golden.json")
}

#[test]
fn hashes_are_the_committed_ones() {
    for Hash {
        text,
        murmur2: expected,
    } in golden().hashes
    {
        assert_eq!(murmur2(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn every_user_enters_at_the_committed_share() {
    for Decision {
        rollout,
        user_id,
        enabled_from,
    } in golden().decisions
    {
        let found = (0..=FULL).find(|share| in_cohort(&rollout, user_id, *share));
        assert_eq!(found, enabled_from, "{rollout}:{user_id}");
        assert_eq!(position(&rollout, user_id), enabled_from, "{rollout}:{user_id}");
    }
}

#[test]
fn as_many_users_are_in_as_committed() {
    for count in golden().counts {
        let users = count.first_user_id..=count.last_user_id;
        let enabled = users
            .filter(|user| in_cohort(&count.rollout, *user, count.basis_points))
            .count();
        assert_eq!(
            enabled, count.enabled,
            "{} at {}",
            count.rollout, count.basis_points
        );
    }
}
