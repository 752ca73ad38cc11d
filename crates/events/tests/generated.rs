//! The committed files are what the types generate.
#![allow(missing_docs)]

use std::{collections::BTreeSet, fs, path::Path};

use banyan_events::{EventKind, generate};
use serde_json::Value;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn generated(suffix: &str) -> String {
    let file = generate::files()
        .into_iter()
        .find(|(path, _)| path.to_string_lossy().ends_with(suffix));
    file.expect("the file is generated").1
}

#[test]
fn the_committed_files_are_current() {
    for (path, content) in generate::files() {
        let committed = fs::read_to_string(root().join(&path)).unwrap_or_default();
        assert!(
            committed == content,
            "{} is not current: run `cargo xtask generate`",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_over_in_the_owned_directories() {
    let files: BTreeSet<_> = generate::files()
        .into_iter()
        .map(|(path, _)| root().join(path))
        .collect();
    for directory in generate::OWNED_DIRECTORIES {
        for entry in fs::read_dir(root().join(directory)).expect("the directory is committed") {
            let path = entry.expect("readable").path();
            assert!(
                files.contains(&path),
                "{} is generated no more: delete it",
                path.display()
            );
        }
    }
}

#[test]
fn generating_twice_gives_the_same() {
    assert_eq!(generate::files(), generate::files());
}

#[test]
fn keys_are_sorted_whoever_else_is_in_the_build() {
    let scrambled: Value = serde_json::from_str(r#"{"b":[{"d":1,"c":2}],"a":null}"#).expect("JSON");
    assert_eq!(
        generate::pretty(&scrambled),
        "{\n  \"a\": null,\n  \"b\": [\n    {\n      \"c\": 2,\n      \"d\": 1\n    }\n  ]\n}\n"
    );
}

#[test]
fn schemas_are_draft_2020_12_under_their_urn() {
    for kind in EventKind::ALL {
        let schema: Value =
            serde_json::from_str(&generated(&format!("/{}.v{}.json", kind.name(), kind.major())))
                .expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], kind.dataschema());
        assert_eq!(
            schema.get("additionalProperties"),
            None,
            "readers take fields they do not know"
        );
        let sample = serde_json::to_value(kind.sample()).expect("JSON");
        let fields = |value: &Value| {
            value
                .as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(
            fields(&schema["properties"]),
            fields(&sample),
            "{kind:?}: a sample fills every field in"
        );
    }
}

#[test]
fn every_reference_of_the_asyncapi_document_leads_somewhere() {
    let document: Value = serde_json::from_str(&generated("asyncapi.json")).expect("JSON");
    assert_eq!(document["asyncapi"], "3.0.0");
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() >= 5 * EventKind::ALL.len());
    for reference in references {
        let target = document.pointer(reference.strip_prefix('#').expect("a local reference"));
        assert!(target.is_some_and(Value::is_object), "{reference}");
    }
    for kind in EventKind::ALL {
        let name = kind.name();
        assert_eq!(document["channels"][name]["address"], name);
        let data =
            &document["components"]["messages"][name]["payload"]["allOf"][1]["properties"]["data"]["$ref"];
        assert_eq!(*data, format!("#/components/schemas/{name}.v{}", kind.major()));
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            references.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object
                .values()
                .for_each(|value| collect_references(value, references));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|value| collect_references(value, references)),
        _ => {}
    }
}

#[test]
fn python_knows_every_type_and_every_field() {
    let module = generated("events.py");
    for kind in EventKind::ALL {
        // A payload with a field named as a reserved word needs the functional form.
        let heads = [
            format!("\nclass {kind:?}(TypedDict):\n"),
            format!("\n{kind:?} = TypedDict(\n"),
        ];
        assert!(heads.iter().any(|head| module.contains(head)), "{kind:?}");
        let entry = module
            .split(&format!("    \"{}\": EventType(\n", kind.name()))
            .nth(1)
            .expect("an entry");
        let entry = entry.split("    ),\n").next().expect("its end");
        let sample = serde_json::to_value(kind.sample()).expect("JSON");
        for field in sample.as_object().expect("an object").keys() {
            assert!(
                entry.contains(&format!("\"{field}\": Field(")),
                "{kind:?}.{field}"
            );
        }
    }
}
