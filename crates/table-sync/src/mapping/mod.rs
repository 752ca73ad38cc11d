//! How the tables of one database become those of the other, and back.
//!
//! A mapping is a TOML file per domain, reviewed in git:
//!
//! ```toml
//! domain = "payments"
//!
//! [minor_units]                      # where a decimal amount becomes an integer one, unless the table says otherwise
//! source_exponent = "SELECT c.decimals FROM payments_currency c WHERE c.code = s.currency"
//! target_exponent = "SELECT c.exponent FROM currency c WHERE c.code = t.currency"
//!
//! [[table]]
//! source = "payments_payment"
//! target = "payment"
//! key = ["id"]                       # the primary key, carried as it is
//! same = ["id", "user_id", "status"] # carried as they are
//! renamed = { decimals = "exponent" }            # source = target
//! blank_is_null = ["failure_code"]   # '' in the source, NULL in the target
//! minor_units = { amount = "amount_minor" }      # 10.50 USD in the source, 1050 in the target
//! values = [{ source = "state", target = "status", values = { done = "completed" } }]
//!
//! [table.forward]                    # target column = expression over a row `s` of the source
//! is_open = "s.closed_at IS NULL"
//! [table.back]                       # source column = expression over a row `t` of the target
//! closed = "NOT t.is_open"
//! [table.only]                       # rows that this is about, where not all are
//! target = "t.status <> 'draft'"
//! [table.left_out.source]            # not carried, and why
//! search_text = "Only the old admin's search reads it."
//! [table.left_out.target]
//! payout_due = "The service's own mark."
//! ```
//!
//! Values travel as text, and the other side's type has to accept that text: nothing is rounded on the way. An expression may read
//! other tables where what it reads never changes; a change there alone does not carry the row again.
//!
//! A row that `only` does not name is as good as not there: it is not carried, not compared, and neither deleted nor overwritten by what
//! comes from the other side. One that `only` names no more is deleted on the other side. The condition is over the row alone, of the
//! source as `s` or of the target as `t`; what it names on one side must be named on the other once it is carried.

mod flow;
mod parse;

use std::collections::BTreeMap;

pub(crate) use flow::{Flow, KeyColumn};
pub use parse::MappingError;

/// One way of the two.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// From the source, the legacy side, to the target.
    Forward,
    /// From the target to the source.
    Back,
}

impl Direction {
    /// As it is named in the bookkeeping.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Back => "back",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Back,
            Self::Back => Self::Forward,
        }
    }
}

/// A domain's tables on both sides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mapping {
    /// `payments`
    pub domain: String,
    /// Parents before what refers to them, as they are in the file.
    pub tables: Vec<Table>,
}

/// A table on both sides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// Its name in the source, with its schema where that is not in the search path.
    pub source: String,
    /// Its name in the target.
    pub target: String,
    /// The names of the key's columns, in the source and in the target.
    pub key: Vec<(String, String)>,
    /// Columns that are carried as they are, by their names in the source and in the target; those of the key are among them.
    pub same: Vec<(String, String)>,
    /// The exponent of the currency of a row `s` of the source, and of a row `t` of the target: expressions call it
    /// `minor_units.exponent`.
    pub exponent: Option<(String, String)>,
    /// Other columns of the target, as expressions over a row `s` of the source.
    pub forward: BTreeMap<String, String>,
    /// Other columns of the source, as expressions over a row `t` of the target.
    pub back: BTreeMap<String, String>,
    /// Which rows of the source this is about, as a condition over a row `s`; `None` for all.
    pub only_source: Option<String>,
    /// Which rows of the target this is about, as a condition over a row `t`; `None` for all.
    pub only_target: Option<String>,
    /// Columns of the source that are not carried, and why.
    pub left_out_source: BTreeMap<String, String>,
    /// Columns of the target that are not carried, and why.
    pub left_out_target: BTreeMap<String, String>,
}

impl Table {
    /// What a query of rows that a direction reads has after its `FROM`, so that expressions find what they name.
    ///
    /// A row has several amounts and one exponent, which is looked up once, and for each currency once: `OFFSET 0` keeps the planner from
    /// putting the look-up in the place of each use, and so it can remember (`Memoize`) what it found for the last rows' currencies. As
    /// a subquery in each expression it took half of the time of a validation.
    pub fn lookup(&self, direction: Direction) -> String {
        let exponent = self.exponent.as_ref().map(|(source, target)| match direction {
            Direction::Forward => source,
            Direction::Back => target,
        });
        exponent.map_or_else(String::new, |exponent| {
            format!(" LEFT JOIN LATERAL (SELECT ({exponent}) AS exponent OFFSET 0) AS minor_units ON true")
        })
    }
}

impl Mapping {
    /// Reads the TOML form.
    ///
    /// # Errors
    /// [`MappingError`], with the table and the column it is about.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        parse::parse(text)
    }

    /// The table of that name in the target, or in the source.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|table| table.target == name || table.source == name)
    }
}

impl Table {
    /// ` AND (...)`: which rows of the source this is about; empty for all.
    pub(crate) fn and_only_source(&self) -> String {
        and(self.only_source.as_ref())
    }

    /// ` AND (...)`: which rows of the target this is about; empty for all.
    pub(crate) fn and_only_target(&self) -> String {
        and(self.only_target.as_ref())
    }
}

fn and(condition: Option<&String>) -> String {
    condition
        .map(|condition| format!(" AND ({condition})"))
        .unwrap_or_default()
}
