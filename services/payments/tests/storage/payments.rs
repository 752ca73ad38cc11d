//! Payments and currencies, read.

use payments::{
    domain::money::CurrencyCode,
    storage::{charge::NewCharge, currency, payment},
};
use time::Duration;

use crate::stage::{NOW, Stage, USER, charge_of};

#[tokio::test]
async fn pages_of_a_users_payments_follow_each_other_newest_first() {
    let stage = Stage::new().await;
    let mut made = Vec::new();
    for place in 0..7 {
        let key = format!("k{place}");
        // Two at each moment: the id decides.
        let now = NOW + Duration::seconds(place / 2);
        let charge = NewCharge {
            ownership: &payments::use_cases::OWNERSHIP,
            now,
            ..charge_of(&key)
        };
        made.push(stage.begin(&charge).await.payment.id);
    }
    made.reverse();
    let mut connection = stage.connection().await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = payment::of_user(&mut connection, USER, after, 3).await.unwrap();
        after = page.last().map(|last| (last.created_at, last.id));
        seen.extend(page.iter().map(|payment| payment.id));
        if page.len() < 3 {
            break;
        }
    }
    assert_eq!(seen, made);
    assert_eq!(payment::of_user(&mut connection, 43, None, 3).await.unwrap(), []);
}

#[tokio::test]
async fn a_payment_is_found_by_its_owner_and_by_its_intent_only() {
    let stage = Stage::new().await;
    let paid = stage.completed("k").await;
    let mut connection = stage.connection().await;
    let found = Some(paid.clone());
    assert_eq!(payment::get(&mut connection, paid.id).await.unwrap(), found);
    assert_eq!(
        payment::get_own(&mut connection, USER, paid.id).await.unwrap(),
        found
    );
    assert_eq!(
        payment::get_own(&mut connection, 43, paid.id).await.unwrap(),
        None
    );
    assert_eq!(
        payment::lock_own(&mut connection, USER, paid.id).await.unwrap(),
        found
    );
    assert_eq!(
        payment::lock_own(&mut connection, 43, paid.id).await.unwrap(),
        None
    );
    let intent = paid.stripe_payment_intent_id.clone().unwrap();
    assert_eq!(payment::of_intent(&mut connection, &intent).await.unwrap(), found);
    assert_eq!(
        payment::of_intent(&mut connection, "pi_none").await.unwrap(),
        None
    );
}

#[tokio::test]
async fn currencies_are_those_of_the_monolith_with_the_exponents_of_iso_4217() {
    let stage = Stage::new().await;
    stage
        .run("UPDATE currency SET is_active = false WHERE code = 'SEK'")
        .await;
    let all = currency::all(&mut *stage.connection().await).await.unwrap();
    assert_eq!(all.len(), 11);
    for known in all {
        let iso = iso_currency::Currency::from_code(known.currency.code.as_str()).unwrap();
        assert_eq!(Some(u16::from(known.currency.exponent())), iso.exponent());
        assert_eq!(
            known.is_active,
            known.currency.code != CurrencyCode::new("SEK").unwrap()
        );
    }
}
