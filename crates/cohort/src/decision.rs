//! The hash and the comparison.

/// Basis points of everybody.
pub const FULL: u16 = 10_000;

/// What nginx multiplies the share with; not 2^32, so the highest hash is in no share below 100 %.
const HASH_MAX: u64 = u32::MAX as u64;

/// The 32-bit MurmurHash2 with seed 0, reading little-endian on every machine, as nginx's `ngx_murmur_hash2` does.
///
/// Written out instead of taken from a crate: it is frozen, twenty lines, and pinned by the golden vectors.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    // nginx's own length is a size_t cut to 32 bits.
    #[expect(clippy::cast_possible_truncation)]
    let mut hash = data.len() as u32;
    let (blocks, tail) = data.as_chunks::<4>();
    for block in blocks {
        let mut word = u32::from_le_bytes(*block).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Whether a user is in the new cohort of `rollout` at `basis_points` (1/100 %).
///
/// No id below 1 is anybody's, so none is ever in; the gateway takes such a token for an anonymous one too. More than
/// [`FULL`] counts as everybody.
pub fn in_cohort(rollout: &str, user_id: i64, basis_points: u16) -> bool {
    if user_id < 1 || basis_points == 0 {
        return false;
    }
    let limit = u64::from(basis_points) * HASH_MAX / u64::from(FULL);
    basis_points >= FULL || u64::from(murmur2(format!("{rollout}:{user_id}").as_bytes())) < limit
}

/// The lowest share, in basis points, at which a user is in the new cohort of `rollout`; `None` for no id of anybody's.
pub fn position(rollout: &str, user_id: i64) -> Option<u16> {
    if user_id < 1 {
        return None;
    }
    let hash = u64::from(murmur2(format!("{rollout}:{user_id}").as_bytes()));
    // The lowest whose limit, rounded down, is above the hash.
    let position = (hash + 1) * u64::from(FULL);
    let position = position.div_ceil(HASH_MAX).min(u64::from(FULL));
    Some(u16::try_from(position).unwrap_or(FULL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_where_a_user_comes_in() {
        for user in 1..2_000 {
            let position = position("payments", user).expect("somebody");
            assert!(in_cohort("payments", user, position), "user {user} at {position}");
            assert!(
                !in_cohort("payments", user, position - 1),
                "user {user} below {position}"
            );
        }
        assert_eq!(position("payments", 0), None);
    }

    #[test]
    fn who_is_in_stays_in_as_the_share_grows() {
        for user in 1..40 {
            let answers: Vec<bool> = (0..=FULL)
                .map(|share| in_cohort("notifications-v2", user, share))
                .collect();
            assert!(answers.is_sorted(), "user {user}");
            assert!(!answers[0] && answers[usize::from(FULL)]);
        }
    }

    #[test]
    fn rollouts_choose_independently() {
        let both = (1..=20_000)
            .filter(|user| in_cohort("one", *user, 5000) && in_cohort("two", *user, 5000))
            .count();
        assert!(
            (4_700..5_300).contains(&both),
            "{both} of 20,000, a quarter expected"
        );
    }
}
