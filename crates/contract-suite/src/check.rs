//! A check: a name, what it needs, and what it does.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::api::{Api, Difference};
use crate::inputs::Input;

/// How a check ends.
pub type Verdict = Result<(), Difference>;

type Run = Arc<dyn Fn(Api) -> BoxFuture<'static, Verdict> + Send + Sync>;

/// One check.
#[derive(Clone)]
pub struct Check {
    /// Unique: `payments/charge/a_declined_card_is_402`.
    pub name: String,
    /// The operation it is about: `POST /api/payments/charge`.
    pub operation: String,
    /// What it cannot do without.
    pub needs: Vec<Input>,
    run: Run,
}

impl Check {
    /// A check that belongs to an operation.
    pub fn new<F>(name: String, operation: &str, needs: &[Input], run: F) -> Self
    where
        F: Fn(Api) -> BoxFuture<'static, Verdict> + Send + Sync + 'static,
    {
        Self {
            name,
            operation: operation.to_owned(),
            needs: needs.to_vec(),
            run: Arc::new(run),
        }
    }

    /// Does it.
    pub fn run(&self, api: Api) -> BoxFuture<'static, Verdict> {
        (self.run)(api)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Check({})", self.name)
    }
}

/// The checks of one operation, each the name of an `async fn(Api) -> Verdict` of this module, perhaps followed by what it
/// needs: `a_link_is_mailed needs Mail`.
macro_rules! checks {
    ($operation:literal: $($check:ident $(needs $($input:ident)+)?),+ $(,)?) => {
        vec![$($crate::check::Check::new(
            $crate::check::name(module_path!(), stringify!($check)),
            $operation,
            &[$($($crate::inputs::Input::$input),+)?],
            |api| Box::pin($check(api)),
        )),+]
    };
}
pub(crate) use checks;

/// `payments/charge/<check>` for a check of `banyan_contract_suite::payments::charge`.
pub(crate) fn name(module: &str, check: &str) -> String {
    let module = module.split_once("::").map_or(module, |(_, below)| below);
    format!("{}/{check}", module.replace("::", "/"))
}
