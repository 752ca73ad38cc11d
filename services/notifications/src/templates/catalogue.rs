//! The active templates, compiled once and exchanged as a whole when the database has changed.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Compiled, Source, TemplateError};
use crate::domain::locale;

/// An active version of a template.
#[derive(Debug)]
pub struct Found {
    /// Its language, which may be one that the user's language fell back to.
    pub locale: String,
    /// Its version.
    pub version: i32,
    /// Ready to render, or why it is not.
    pub compiled: Result<Compiled, TemplateError>,
}

#[derive(Debug, Default)]
struct Snapshot {
    generation: i64,
    templates: HashMap<String, HashMap<String, Arc<Found>>>,
}

/// The active templates of one generation.
#[derive(Debug, Default)]
pub struct Catalogue {
    snapshot: RwLock<Snapshot>,
}

impl Catalogue {
    /// The generation it holds; 0 before the first load.
    pub fn generation(&self) -> i64 {
        self.snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .generation
    }

    /// Exchanges everything for what the database has now. Broken ones are kept as such, so that they fail their own event
    /// alone and say why; they are returned for the log.
    pub fn replace(&self, generation: i64, sources: Vec<(Source, i32)>) -> Vec<TemplateError> {
        let mut templates: HashMap<String, HashMap<String, Arc<Found>>> = HashMap::new();
        let mut broken = Vec::new();
        for (source, version) in sources {
            let (name, locale) = (source.name.clone(), source.locale.clone());
            let compiled = Compiled::checked(source);
            broken.extend(compiled.as_ref().err().cloned());
            let found = Found {
                locale: locale.clone(),
                version,
                compiled,
            };
            templates
                .entry(name)
                .or_default()
                .insert(locale.to_ascii_lowercase(), Arc::new(found));
        }
        let mut snapshot = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        if generation >= snapshot.generation {
            *snapshot = Snapshot {
                generation,
                templates,
            };
        }
        broken
    }

    /// The active template of that name that fits the language best.
    pub fn find(&self, name: &str, language: Option<&str>) -> Option<Arc<Found>> {
        let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        let by_locale = snapshot.templates.get(name)?;
        locale::lookup(language).find_map(|tag| by_locale.get(&tag.to_ascii_lowercase()).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::RELEASED;

    #[test]
    fn finds_the_best_language() {
        let catalogue = Catalogue::default();
        catalogue.replace(
            1,
            RELEASED.iter().map(|released| (released.source(), 1)).collect(),
        );
        let locale = |tag| {
            catalogue
                .find("payment-completed", tag)
                .map(|found| found.locale.clone())
        };
        assert_eq!(locale(Some("de-AT")).as_deref(), Some("de"));
        assert_eq!(locale(Some("DE")).as_deref(), Some("de"));
        assert_eq!(locale(Some("fr")).as_deref(), Some("en"));
        assert_eq!(locale(None).as_deref(), Some("en"));
        assert!(catalogue.find("no-such", None).is_none());
    }

    #[test]
    fn a_broken_one_is_kept_as_broken_and_an_older_generation_changes_nothing() {
        let catalogue = Catalogue::default();
        let mut source = RELEASED[0].source();
        source.text = "{{ nonsense }}".into();
        assert_eq!(catalogue.replace(5, vec![(source, 2)]).len(), 1);
        let found = catalogue.find(RELEASED[0].name, None).expect("still listed");
        assert!(found.compiled.is_err());
        catalogue.replace(4, vec![(RELEASED[0].source(), 1)]);
        assert_eq!(catalogue.find(RELEASED[0].name, None).expect("listed").version, 2);
    }
}
