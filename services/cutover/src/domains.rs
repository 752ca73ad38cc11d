//! The domains that move: their two databases, and the mapping between these.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_table_sync::{Database, Link, Mapping};

use crate::config::Config;
use crate::error::{Error, Result};

/// Mappings that come with the program.
const MAPPINGS: [(&str, &str); 2] = [
    ("payments", include_str!("../mappings/payments.toml")),
    ("notifications", include_str!("../mappings/notifications.toml")),
];

/// PostgreSQL's names have 63 bytes, and `table_sync_` and `_forward_copy_` with a number are around this one.
const LONGEST_NAME: usize = 34;

/// Those of the configuration, by name.
#[derive(Clone, Debug)]
pub(crate) struct Domains(BTreeMap<String, Link>);

impl Domains {
    /// Reads the mappings. Connects to nothing.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let link = |(name, domain): (&String, &crate::config::Domain)| {
            named(&format!("{}{name}", config.sync.slot_prefix))?;
            let legacy = config.sync.legacy_url.clone().ok_or_else(|| {
                Error::Config("sync.legacy_url is not set: the monolith's database, for the syncs".to_owned())
            })?;
            let link = Link {
                // Slots and origins are the server's, which may have databases of several stacks.
                name: format!("{}{name}", config.sync.slot_prefix),
                mapping: Arc::new(mapping(name, domain)?),
                source: Database {
                    name: "legacy".into(),
                    url: legacy,
                },
                target: Database {
                    name: name.clone().into(),
                    url: domain.url.clone(),
                },
            };
            Ok((name.clone(), link))
        };
        Ok(Self(config.domains.iter().map(link).collect::<Result<_>>()?))
    }

    /// The domain of that name.
    pub(crate) fn link(&self, name: &str) -> Result<&Link> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            Error::Unknown(format!(
                "no domain is called {name}; {}",
                if known.is_empty() {
                    "the configuration has no section [domains.<name>]".to_owned()
                } else {
                    format!("there are: {}", known.join(", "))
                }
            ))
        })
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn named(slot: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if slot.bytes().all(fits) && slot.len() <= LONGEST_NAME {
        return Ok(());
    }
    Err(Error::Config(format!(
        "`{slot}` of sync.slot_prefix and [domains.<name>] is part of a slot's name, so it may have up to {LONGEST_NAME} \
         lower-case letters, digits and underscores"
    )))
}

fn mapping(name: &str, domain: &crate::config::Domain) -> Result<Mapping> {
    let text = match &domain.mapping {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            Error::Config(format!(
                "domains.{name}.mapping: {} cannot be read: {error}",
                path.display()
            ))
        })?,
        None => MAPPINGS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| (*text).to_owned())
            .ok_or_else(|| {
                Error::Config(format!(
                    "domains.{name}.mapping is not set, and no mapping of that name came with this program"
                ))
            })?,
    };
    let mapping =
        Mapping::parse(&text).map_err(|error| Error::Config(format!("the mapping of {name}: {error}")))?;
    if mapping.domain != name {
        return Err(Error::Config(format!(
            "domains.{name}.mapping is that of {}",
            mapping.domain
        )));
    }
    Ok(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mappings_that_come_with_the_program_are_read() {
        for (name, text) in MAPPINGS {
            assert_eq!(Mapping::parse(text).expect("a mapping").domain, name);
        }
    }

    #[test]
    fn what_cannot_be_a_domain_is_named() {
        let domain = |mapping: Option<&str>| crate::config::Domain {
            url: "postgres://nobody@127.0.0.1:1/none".into(),
            mapping: mapping.map(Into::into),
        };
        assert!(named("Shop").expect_err("refused").to_string().contains("`Shop`"));
        assert!(named(&"x".repeat(35)).is_err());
        for (name, mapping_file, problem) in [
            ("shop", None, "domains.shop.mapping is not set"),
            (
                "shop",
                Some("/no/such/file.toml"),
                "/no/such/file.toml cannot be read",
            ),
        ] {
            let error = mapping(name, &domain(mapping_file))
                .expect_err("refused")
                .to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
