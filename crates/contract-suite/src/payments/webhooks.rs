//! POST /api/payments/webhooks/stripe

use serde_json::{Value, json};

use crate::api::{Api, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::{Person, new_key};
use crate::stripe::{WEBHOOK, event, now};

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/payments/webhooks/stripe":
        an_unsigned_event_is_400,
        a_signed_event_is_taken_and_its_repetition_too needs WebhookSecret,
        an_old_or_foreign_signature_is_400 needs WebhookSecret,
        a_signed_body_that_is_no_event_is_400 needs WebhookSecret,
        unknown_types_and_strangers_have_no_effect needs WebhookSecret,
        a_dispute_takes_effect_once needs WebhookSecret,
    )
}

fn new_event(kind: &str, object: &Value) -> Value {
    event(&format!("evt_{}", new_key().replace('-', "")), kind, object)
}

async fn an_unsigned_event_is_400(api: Api) -> Verdict {
    let body = new_event("payout.paid", &json!({"id": "po_1"}));
    for signature in [
        None,
        Some(""),
        Some("nonsense"),
        Some("t=1,v1=00"),
        Some("v1=00"),
        Some("t=,v1="),
    ] {
        let call = api.post(WEBHOOK).json(&body).problem(400, "signature-invalid");
        match signature {
            Some(value) => call.header("stripe-signature", value).await?,
            None => call.await?,
        };
    }
    Ok(())
}

/// The PaymentIntent of a new payment, as Stripe would send it.
async fn intent(api: &Api, person: &Person) -> Result<(String, Value), Difference> {
    let paid = api.paid(person, "10.00", "USD").await?;
    let intent =
        json!({"id": paid.at("/stripePaymentIntentId"), "object": "payment_intent", "status": "succeeded"});
    Ok((format!("/api/payments/{}", paid.id("/id")?), intent))
}

async fn a_signed_event_is_taken_and_its_repetition_too(api: Api) -> Verdict {
    let person = api.person().await?;
    let (path, intent) = intent(&api, &person).await?;
    let before = api.payment(&person, &path).await?;
    let event = new_event("payment_intent.succeeded", &intent);
    for _ in 0..3 {
        api.webhook(&event).expect(200).await?;
    }
    let after = api.payment(&person, &path).await?;
    after.same("the payment", &after.json, &before.json)
}

async fn an_old_or_foreign_signature_is_400(api: Api) -> Verdict {
    let event = new_event("payout.paid", &json!({"id": "po_1"}));
    for time in [now() - 400, now() - 86_400, 0] {
        api.webhook_at(time, &event)
            .problem(400, "signature-invalid")
            .await?;
    }
    let other = new_event("payout.paid", &json!({"id": "po_2"}));
    // The header is right for another body.
    api.webhook(&event)
        .json_text(other.to_string())
        .problem(400, "signature-invalid")
        .await?;
    Ok(())
}

async fn a_signed_body_that_is_no_event_is_400(api: Api) -> Verdict {
    let whole = new_event("payout.paid", &json!({"id": "po_1"}));
    let mut broken = vec![json!({}), json!([]), json!("text"), json!(null)];
    for field in ["id", "type", "data"] {
        let mut event = whole.clone();
        event[field] = Value::Null;
        if field != "id" {
            broken.push(event);
        }
    }
    for body in broken {
        api.webhook(&body).problem(400, "bad-request").await?;
    }
    Ok(())
}

async fn unknown_types_and_strangers_have_no_effect(api: Api) -> Verdict {
    let unknown = new_event("radar.early_fraud_warning.created", &json!({"id": "issfr_1"}));
    api.webhook(&unknown).expect(200).await?;
    let stranger = new_event(
        "payment_intent.succeeded",
        &json!({"id": "pi_nobody_knows", "object": "payment_intent"}),
    );
    api.webhook(&stranger).expect(200).await?;
    Ok(())
}

async fn a_dispute_takes_effect_once(api: Api) -> Verdict {
    let person = api.person().await?;
    let (path, intent) = intent(&api, &person).await?;
    let dispute = json!({
        "id": format!("dp_{}", new_key().replace('-', "")), "object": "dispute", "amount": 1000, "currency": "usd",
        "payment_intent": intent["id"], "charge": null, "reason": "fraudulent", "status": "needs_response",
        "created": now(), "evidence_details": {"due_by": now() + 604_800}, "evidence": {},
    });
    let event = new_event("charge.dispute.created", &dispute);
    for _ in 0..2 {
        api.webhook(&event).expect(200).await?;
    }
    api.payment(&person, &path).await?.has("/status", "disputed")?;
    let balance = api
        .get("/api/payments/balance")
        .token(&person.token)
        .expect(200)
        .await?;
    balance.has("/balances/0/disputed", "10.00")?;
    balance.has("/balances/0/net", "0.00")?;
    let refund = api
        .post(&format!("{path}/refunds"))
        .token(&person.token)
        .key(&new_key())
        .json(&json!({}));
    refund.problem(409, "invalid-state").await?;
    Ok(())
}
