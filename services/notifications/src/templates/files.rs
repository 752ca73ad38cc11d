//! The committed files under `templates/`, compiled in.

use super::Source;

/// A committed template.
#[derive(Clone, Copy, Debug)]
pub struct Released {
    /// Its name, which is its folder.
    pub name: &'static str,
    /// Its language, which is the folder below.
    pub locale: &'static str,
    subject: &'static str,
    html: &'static str,
    text: &'static str,
    sms: &'static str,
}

/// The page around every HTML part.
pub(super) const LAYOUT: &str = include_str!("../../templates/layout/layout.html");

macro_rules! released {
    ($($name:literal: $($locale:literal)+;)*) => {
        /// Every committed template.
        pub const RELEASED: &[Released] = &[$($(Released {
            name: $name,
            locale: $locale,
            subject: include_str!(concat!("../../templates/", $name, "/", $locale, "/subject.txt")),
            html: include_str!(concat!("../../templates/", $name, "/", $locale, "/body.html")),
            text: include_str!(concat!("../../templates/", $name, "/", $locale, "/body.txt")),
            sms: include_str!(concat!("../../templates/", $name, "/", $locale, "/sms.txt")),
        },)+)*];
    };
}

released! {
    "payment-completed": "en" "de";
    "payment-failed": "en" "de";
    "payment-refunded": "en" "de";
    "user-signup": "en" "de";
    "user-password-reset": "en" "de";
    "user-email-verified": "en" "de";
    "report-export-ready": "en" "de";
    "daily-digest": "en" "de";
}

impl Released {
    /// Its texts.
    pub fn source(&self) -> Source {
        Source {
            name: self.name.into(),
            locale: self.locale.into(),
            subject: self.subject.into(),
            html: self.html.into(),
            text: self.text.into(),
            sms: self.sms.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            locale,
            notice::{DIGEST_TEMPLATE, NOTICES},
        },
        templates::Compiled,
    };

    #[test]
    fn every_committed_template_renders_its_sample() {
        for released in RELEASED {
            if let Err(error) = Compiled::checked(released.source()) {
                panic!("{error}");
            }
        }
    }

    #[test]
    fn every_notice_has_its_template_in_the_default_language() {
        let names = NOTICES
            .iter()
            .map(|notice| notice.template)
            .chain([DIGEST_TEMPLATE]);
        for name in names {
            let found = RELEASED
                .iter()
                .any(|released| released.name == name && released.locale == locale::DEFAULT);
            assert!(found, "templates/{name}/{} is missing", locale::DEFAULT);
        }
    }
}
