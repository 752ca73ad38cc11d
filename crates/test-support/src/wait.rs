//! Waits for something that another process does: bounded, and with an account of what was seen.

use std::fmt::Debug;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Asks `question` until it answers `Ok`, for at most `bound`; then panics with `what` and the last `Err`.
///
/// ```text
/// let row = wait_for("the audit row", Duration::from_secs(10), async || {
///     storage::find(&pool, id).await.ok_or("no row yet")
/// }).await;
/// ```
pub async fn wait_for<T, E: Debug>(
    what: &str,
    bound: Duration,
    mut question: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut asked = 0_u32;
    let mut last = None;
    loop {
        asked += 1;
        let left = bound.saturating_sub(started.elapsed());
        match tokio::time::timeout(left.max(FIRST_PAUSE), question()).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(seen)) => last = Some(format!("{seen:?}")),
            Err(_) => {
                last = Some(last.map_or("no answer".to_owned(), |seen| {
                    format!("no answer, and before: {seen}")
                }));
            }
        }
        assert!(
            started.elapsed() < bound,
            "waited {bound:?} for {what} and asked {asked} times; last seen: {}",
            last.unwrap_or_default()
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks `question` until its answer satisfies `enough`, for at most `bound`; then panics with `what` and the last answer.
pub async fn wait_until<T: Debug>(
    what: &str,
    bound: Duration,
    mut question: impl AsyncFnMut() -> T,
    enough: impl Fn(&T) -> bool,
) -> T {
    wait_for(what, bound, async || {
        let answer = question().await;
        if enough(&answer) { Ok(answer) } else { Err(answer) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{wait_for, wait_until};

    #[tokio::test]
    async fn the_answer_comes_back() {
        let mut asked = 0;
        let answer = wait_until(
            "three",
            Duration::from_secs(5),
            async || {
                asked += 1;
                asked
            },
            |n| *n == 3,
        )
        .await;
        assert_eq!(answer, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "for the impossible and asked")]
    async fn a_wait_ends_and_says_what_it_saw() {
        wait_for("the impossible", Duration::from_millis(30), async || {
            Err::<(), _>("only this")
        })
        .await;
    }

    #[tokio::test]
    #[should_panic(expected = "no answer, and before: \"only this\"")]
    async fn a_question_that_hangs_is_given_up() {
        let mut first = true;
        wait_for("an answer", Duration::from_millis(50), async || {
            if !std::mem::take(&mut first) {
                std::future::pending::<()>().await;
            }
            Err::<(), _>("only this")
        })
        .await;
    }
}
