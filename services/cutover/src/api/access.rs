//! Who asks, and what they may do.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use banyan_service_kit::Problem;
use banyan_service_kit::problem::FORBIDDEN;
use sha2::{Digest as _, Sha256};

use super::Api;
use crate::config::{Operator, OperatorRole};
use crate::error::{Error, Result};

/// The operators of the configuration.
#[derive(Debug)]
pub(crate) struct Access(Vec<Known>);

#[derive(Debug)]
struct Known {
    name: String,
    role: OperatorRole,
    token_sha256: Vec<u8>,
}

impl Access {
    /// Refuses a hash that is none.
    pub(crate) fn new(operators: &BTreeMap<String, Operator>) -> Result<Self> {
        let known = |(name, operator): (&String, &Operator)| {
            let token_sha256 = unhex(&operator.token_sha256).filter(|hash| hash.len() == 32);
            let token_sha256 = token_sha256.ok_or_else(|| {
                Error::Config(format!(
                    "operators.{name}.token_sha256 is not 64 hexadecimal digits; `printf %s \"$TOKEN\" | sha256sum` gives them"
                ))
            })?;
            Ok(Known {
                name: name.clone(),
                role: operator.role,
                token_sha256,
            })
        };
        Ok(Self(operators.iter().map(known).collect::<Result<_>>()?))
    }

    /// The operator whose token this is.
    fn find(&self, token: &str) -> Option<&Known> {
        let hash = Sha256::digest(token.as_bytes());
        self.0.iter().find(|known| known.token_sha256 == hash.as_slice())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

/// Somebody who may look.
#[derive(Debug)]
pub(super) struct Viewer;

/// Somebody who may change things, by name.
#[derive(Debug)]
pub(super) struct Changer(pub(super) String);

impl FromRequestParts<Api> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> std::result::Result<Self, Problem> {
        caller(parts, api).map(|_| Self)
    }
}

impl FromRequestParts<Api> for Changer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> std::result::Result<Self, Problem> {
        let known = caller(parts, api)?;
        if known.role < OperatorRole::Operator {
            return Err(Problem::new(&FORBIDDEN).detail("viewers may look; this takes the role `operator`"));
        }
        Ok(Self(format!("api:{}", known.name)))
    }
}

fn caller<'a>(parts: &Parts, api: &'a Api) -> std::result::Result<&'a Known, Problem> {
    let header = parts.headers.get(AUTHORIZATION);
    let Some(header) = header else {
        return Err(Problem::unauthenticated(
            "send the operator's token as `Authorization: Bearer`",
            false,
        ));
    };
    let token = header
        .to_str()
        .ok()
        .and_then(|header| header.strip_prefix("Bearer "));
    token
        .and_then(|token| api.access.find(token))
        .ok_or_else(|| Problem::unauthenticated("the token is no operator's", true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let operator = |hash: &str| {
            let operator = Operator {
                role: OperatorRole::Viewer,
                token_sha256: hash.to_owned(),
            };
            Access::new(&BTreeMap::from([("ada".to_owned(), operator)]))
        };
        // Of `secret`.
        let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let access = operator(hash).expect("a hash");
        assert_eq!(access.find("secret").expect("known").name, "ada");
        assert!(access.find(hash).is_none());
        for bad in ["", "2bb80d", "zz", &hash[1..]] {
            assert!(
                operator(bad)
                    .expect_err("refused")
                    .to_string()
                    .contains("operators.ada")
            );
        }
    }
}
