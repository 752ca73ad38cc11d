//! Amounts: exact, with the currency's own decimals, in and out.

use crate::api::Api;
use crate::check::{Check, Verdict, checks};

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/payments/charge":
        amounts_have_the_decimals_of_their_currency,
        numbers_are_read_as_exact_decimals,
        too_many_decimals_are_refused,
        amounts_that_are_none_are_refused,
        huge_numbers_are_refused_quickly,
    )
}

/// A charge with the amount as it is written in JSON.
fn body(amount: &str, currency: &str) -> String {
    format!(r#"{{"amount": {amount}, "currency": "{currency}", "paymentMethodId": "pm_card_visa"}}"#)
}

async fn accepts(api: &Api, cases: &[(&str, &str, &str)]) -> Verdict {
    let person = api.person().await?;
    for (amount, currency, shown) in cases {
        let call = api
            .charge(&person, &serde_json::Value::Null)
            .json_text(body(amount, currency));
        let answer = call.expect(201).await?;
        answer.has("/amount", *shown)?;
        let zero = if shown.contains('.') {
            shown
                .split('.')
                .nth(1)
                .map(|decimals| format!("0.{}", "0".repeat(decimals.len())))
        } else {
            None
        };
        answer.has("/amountRefunded", zero.unwrap_or_else(|| "0".to_owned()))?;
        let read = api
            .payment(&person, &format!("/api/payments/{}", answer.id("/id")?))
            .await?;
        read.has("/amount", *shown)?;
    }
    Ok(())
}

async fn refuses(api: &Api, cases: &[(&str, &str)]) -> Verdict {
    let person = api.person().await?;
    for (amount, currency) in cases {
        let call = api
            .charge(&person, &serde_json::Value::Null)
            .json_text(body(amount, currency));
        call.invalid(&["amount"]).await?;
    }
    let list = api.get("/api/payments/").token(&person.token).expect(200).await?;
    list.same("the number of payments", list.items()?.len(), 0)
}

async fn amounts_have_the_decimals_of_their_currency(api: Api) -> Verdict {
    let cases = [
        (r#""10""#, "USD", "10.00"),
        (r#""10.5""#, "USD", "10.50"),
        (r#""0010.50""#, "EUR", "10.50"),
        (r#""500""#, "JPY", "500"),
        (r#""1.25""#, "KWD", "1.250"),
        (r#""1.234""#, "BHD", "1.234"),
        (r#""0.50""#, "USD", "0.50"),
    ];
    accepts(&api, &cases).await
}

async fn numbers_are_read_as_exact_decimals(api: Api) -> Verdict {
    let cases = [
        ("10", "USD", "10.00"),
        ("10.10", "USD", "10.10"),
        // Neither is a float: 4.35 times 100 is 434.99999999999994 in binary.
        ("4.35", "USD", "4.35"),
        ("999999.99", "USD", "999999.99"),
        ("1.1", "KWD", "1.100"),
        ("700", "JPY", "700"),
    ];
    accepts(&api, &cases).await
}

async fn too_many_decimals_are_refused(api: Api) -> Verdict {
    let cases = [
        (r#""10.001""#, "USD"),
        (r#""10.000""#, "USD"),
        ("10.001", "USD"),
        (r#""500.0""#, "JPY"),
        ("500.5", "JPY"),
        (r#""1.2345""#, "KWD"),
        ("1e-3", "USD"),
    ];
    refuses(&api, &cases).await
}

async fn amounts_that_are_none_are_refused(api: Api) -> Verdict {
    let cases = [
        "0",
        r#""0.00""#,
        "-1",
        r#""-1.00""#,
        "null",
        "true",
        "[]",
        "{}",
        r#""""#,
        r#"" 10.00""#,
        r#""10,00""#,
        r#""+10""#,
        r#""1e3""#,
        r#""0x10""#,
        r#""10.""#,
        r#"".5""#,
        r#""ten""#,
        r#""NaN""#,
        r#""Infinity""#,
        r#""١٠""#,
        r#""10\u0000""#,
    ];
    refuses(&api, &cases.map(|amount| (amount, "USD"))).await
}

async fn huge_numbers_are_refused_quickly(api: Api) -> Verdict {
    let digits = "9".repeat(4000);
    let long = format!("\"{digits}\"");
    let fraction = format!("0.{}1", "0".repeat(3000));
    let cases = [
        "100000000000",
        r#""100000000000.00""#,
        "1e30",
        "1e400",
        "1e999999999",
        "-1e999999999",
        "1e-999999999",
        digits.as_str(),
        long.as_str(),
        fraction.as_str(),
    ];
    let person = api.person().await?;
    for amount in cases {
        // A reader of JSON may refuse a number that it cannot hold before anybody looks at its meaning.
        let call = api
            .charge(&person, &serde_json::Value::Null)
            .json_text(body(amount, "USD"));
        call.expect_one_of(&[400, 422]).await?;
    }
    let list = api.get("/api/payments/").token(&person.token).expect(200).await?;
    list.same("the number of payments", list.items()?.len(), 0)
}
