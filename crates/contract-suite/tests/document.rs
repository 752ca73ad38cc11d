//! The OpenAPI document by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use banyan_contract_suite::checks;
use banyan_contract_suite::document::Document;
use banyan_local_stack::python::test_environment;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn it_is_a_valid_openapi_document() {
    let venv = test_environment(&here("../..")).expect("a Python environment");
    let mut command = Command::new(venv.program("python"));
    let output = command
        .args(["-m", "openapi_spec_validator", "--errors", "all"])
        .arg(here("openapi.yaml"))
        .output()
        .expect("the validator starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", said.concat());
}

#[test]
fn every_operation_has_checks_of_its_own_and_every_check_an_operation() {
    let document = Document::load().expect("a document");
    let checks = checks(&document);
    for operation in document.operations() {
        let own = checks
            .iter()
            .any(|check| check.operation == operation.to_string() && !check.name.starts_with("rules/"));
        assert!(own, "{operation} has no check of its own");
    }
    for check in &checks {
        let known = document
            .operations()
            .iter()
            .any(|operation| operation.to_string() == check.operation);
        assert!(known, "{check:?} is about {}", check.operation);
    }
    let mut names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), checks.len(), "two checks have the same name");
}
