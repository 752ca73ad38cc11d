//! Tables for people.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// A plain table with a header.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    table
}
