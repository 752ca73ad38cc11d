//! One template in one language: compiled, checked against its sample, rendered.

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

use super::{DigestItem, Links, Source, View, files::LAYOUT};
use crate::domain::notice::{DIGEST_TEMPLATE, NOTICES};

/// Instructions a template may take: a loop in a loop must not hold a consumer.
const FUEL: u64 = 50_000;

/// Names of the parts inside the environment; minijinja escapes by their endings.
const SUBJECT: &str = "subject.txt";
const HTML: &str = "body.html";
const TEXT: &str = "body.txt";
const SMS: &str = "sms.txt";

/// A notification in words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rendered {
    /// Subject line.
    pub subject: String,
    /// HTML part.
    pub html: String,
    /// Plain text part.
    pub text: String,
    /// Text message.
    pub sms: String,
}

/// A template that cannot be used. Names the template, its language, the part and the line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TemplateError {
    /// No event and no job uses a template of that name.
    #[error("template {name:?}: no notification has a template of this name")]
    Unknown {
        /// The name.
        name: String,
    },
    /// It does not compile or does not render.
    #[error("template {name} ({locale}), {part} line {line}: {reason}")]
    Broken {
        /// The name.
        name: String,
        /// The language.
        locale: String,
        /// Which of its texts.
        part: String,
        /// The line there, counted from 1; 0 where it is not known.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// A template ready to render.
#[derive(Debug)]
pub struct Compiled {
    name: String,
    locale: String,
    environment: Environment<'static>,
}

impl Compiled {
    /// Compiles a template and renders every part against the sample of its event.
    ///
    /// # Errors
    /// [`TemplateError`] names the template and the line; such a template is not to be used.
    pub fn checked(source: Source) -> Result<Self, TemplateError> {
        let compiled = Self::compile(source)?;
        compiled.render(&compiled.sample()?)?;
        Ok(compiled)
    }

    /// Renders every part.
    ///
    /// # Errors
    /// [`TemplateError`] names the part and the line.
    pub fn render(&self, view: &Value) -> Result<Rendered, TemplateError> {
        let part = |name| {
            self.environment
                .get_template(name)
                .and_then(|template| template.render(view))
                .map_err(|error| self.broken(name, &error))
        };
        Ok(Rendered {
            subject: part(SUBJECT)?.trim().to_owned(),
            html: part(HTML)?,
            text: part(TEXT)?,
            sms: part(SMS)?.trim().to_owned(),
        })
    }

    fn compile(source: Source) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|name| {
            if name.rsplit('.').next() == Some("html") {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        let mut compiled = Self {
            name: source.name,
            locale: source.locale,
            environment,
        };
        let parts = [
            ("layout.html", LAYOUT.to_owned()),
            (SUBJECT, source.subject),
            (HTML, source.html),
            (TEXT, source.text),
            (SMS, source.sms),
        ];
        for (part, text) in parts {
            if let Err(error) = compiled.environment.add_template_owned(part, text) {
                return Err(compiled.broken(part, &error));
            }
        }
        Ok(compiled)
    }

    fn sample(&self) -> Result<Value, TemplateError> {
        let links = Links {
            verify_email: "https://example.org/verify?token={token}".into(),
            reset_password: "https://example.org/reset?token={token}".into(),
            export: "https://example.org/exports/{id}".into(),
        };
        let view = View {
            locale: &self.locale,
            name: Some("Ada Lovelace"),
            links: &links,
        };
        if self.name == DIGEST_TEMPLATE {
            let item = DigestItem {
                title: "Sample".into(),
                at: "2026-01-02 03:04 UTC".into(),
            };
            return Ok(view.of_digest(&[item]));
        }
        NOTICES
            .iter()
            .find(|notice| notice.template == self.name)
            .and_then(|notice| view.of(&notice.kind.sample()))
            .ok_or_else(|| TemplateError::Unknown {
                name: self.name.clone(),
            })
    }

    fn broken(&self, part: &str, error: &minijinja::Error) -> TemplateError {
        let reason = match (error.kind(), error.detail()) {
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (ErrorKind::UndefinedError, None) => "a variable that this notification does not have".into(),
            (kind, None) => kind.to_string(),
        };
        TemplateError::Broken {
            name: self.name.clone(),
            locale: self.locale.clone(),
            part: error.name().unwrap_or(part).to_owned(),
            line: error.line().unwrap_or_default(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(html: &str) -> Source {
        Source {
            name: "payment-completed".into(),
            locale: "en".into(),
            subject: "Receipt".into(),
            html: html.into(),
            text: "{{ user.name }}".into(),
            sms: "ok".into(),
        }
    }

    #[test]
    fn an_unknown_variable_names_template_locale_and_line() {
        let error =
            Compiled::checked(source("<p>\n{{ payment.amonut }}</p>")).expect_err("a broken template");
        let text = error.to_string();
        assert!(
            text.starts_with("template payment-completed (en), body.html line 2: "),
            "{text}"
        );
    }

    #[test]
    fn a_syntax_error_names_the_line() {
        let error = Compiled::checked(source("{% if %}")).expect_err("a broken template");
        assert!(matches!(error, TemplateError::Broken { line: 1, .. }), "{error}");
    }

    #[test]
    fn an_endless_template_is_refused() {
        let html = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(Compiled::checked(source(html)).is_err());
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let compiled = Compiled::checked(source("<b>{{ user.name }}</b>")).expect("a template");
        let links = Links {
            verify_email: String::new(),
            reset_password: String::new(),
            export: String::new(),
        };
        let view = View {
            locale: "en",
            name: Some("<Ada & Co>"),
            links: &links,
        };
        let view = view
            .of(&banyan_events::EventKind::PaymentCompleted.sample())
            .expect("a view");
        let rendered = compiled.render(&view).expect("rendered");
        assert_eq!(rendered.html, "<b>&lt;Ada &amp; Co&gt;</b>");
        assert_eq!(rendered.text, "<Ada & Co>");
    }

    #[test]
    fn a_name_that_nothing_uses_is_refused() {
        let stray = Source {
            name: "payment-complete".into(),
            ..source("x")
        };
        assert!(matches!(
            Compiled::checked(stray),
            Err(TemplateError::Unknown { .. })
        ));
    }
}
