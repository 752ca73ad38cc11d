//! Which changes of a schema an existing reader survives.
#![allow(missing_docs)]

use std::{fs, path::Path};

use banyan_events::{
    compat::{self, Breaking, Change, RELEASED, ReleasedError},
    generate,
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn old() -> Value {
    json!({
        "$defs": {
            "Channel": { "oneOf": [{ "type": "string", "const": "email", "description": "SMTP." }, { "type": "string", "const": "sms" }] }
        },
        "type": "object",
        "title": "Order",
        "properties": {
            "orderId": { "type": "integer", "format": "int64" },
            "note": { "type": ["string", "null"] },
            "channel": { "$ref": "#/$defs/Channel" },
            "lines": {
                "type": "array",
                "items": { "type": "object", "properties": { "sku": { "type": "string" } }, "required": ["sku"] },
            },
        },
        "required": ["orderId", "channel", "lines"],
    })
}

/// The schema after `change`, checked against the one before.
fn after(change: impl FnOnce(&mut Value)) -> Vec<Breaking> {
    let mut new = old();
    change(&mut new);
    compat::check(&old(), &new)
}

#[track_caller]
fn breaks(path: &str, expected: Change, change: impl FnOnce(&mut Value)) {
    assert_eq!(
        after(change),
        [Breaking {
            path: path.into(),
            change: expected
        }]
    );
}

fn remove(schema: &mut Value, pointer: &str, key: &str) {
    let object = schema
        .pointer_mut(pointer)
        .and_then(Value::as_object_mut)
        .expect("an object");
    object.remove(key).expect("the key is there");
}

#[test]
fn the_same_in_other_words_is_fine() {
    assert_eq!(after(|_| {}), []);
    let reworded = after(|schema| {
        schema["title"] = "Bestellung".into();
        schema["description"] = "An order.".into();
        schema["$id"] = "urn:x".into();
        schema["required"] = json!(["lines", "orderId", "channel"]);
        remove(schema, "", "$defs");
        schema["properties"]["channel"] =
            json!({ "type": "string", "enum": ["sms", "email"], "description": "How." });
        schema["properties"]["note"] =
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }], "default": null });
    });
    assert_eq!(reworded, []);
}

#[test]
fn a_new_optional_field_is_fine() {
    assert_eq!(
        after(|schema| schema["properties"]["coupon"] = json!({ "type": ["string", "null"] })),
        []
    );
    assert_eq!(
        after(
            |schema| schema["properties"]["lines"]["items"]["properties"]["gift"] =
                json!({ "type": "boolean" })
        ),
        []
    );
}

#[test]
fn a_field_removed_or_renamed_breaks() {
    breaks("note", Change::FieldRemoved, |schema| {
        remove(schema, "/properties", "note");
    });
    breaks("lines[].sku", Change::FieldRemoved, |schema| {
        schema["properties"]["lines"]["items"] =
            json!({ "type": "object", "properties": {}, "required": [] });
    });
    let renamed = after(|schema| {
        remove(schema, "/properties", "orderId");
        schema["properties"]["id"] = json!({ "type": "integer", "format": "int64" });
        schema["required"] = json!(["id", "channel", "lines"]);
    });
    let expected = [
        Breaking {
            path: "orderId".into(),
            change: Change::FieldRemoved,
        },
        Breaking {
            path: "id".into(),
            change: Change::RequiredFieldAdded,
        },
    ];
    assert_eq!(renamed, expected);
}

#[test]
fn a_field_retyped_breaks() {
    let retyped = Change::Retyped {
        old: "string".into(),
        new: "integer".into(),
    };
    breaks("note", retyped, |schema| {
        schema["properties"]["note"]["type"] = json!(["integer", "null"]);
    });
    let widened = Change::Retyped {
        old: "integer".into(),
        new: "integer|string".into(),
    };
    breaks("orderId", widened, |schema| {
        schema["properties"]["orderId"]["type"] = json!(["integer", "string"]);
    });
    let narrower = Change::RuleChanged {
        keyword: "format".into(),
        old: json!("int64"),
        new: json!("int32"),
    };
    breaks("orderId", narrower, |schema| {
        schema["properties"]["orderId"]["format"] = "int32".into();
    });
    let formatted = Change::RuleChanged {
        keyword: "format".into(),
        old: Value::Null,
        new: json!("date-time"),
    };
    breaks("note", formatted, |schema| {
        schema["properties"]["note"]["format"] = "date-time".into();
    });
    let closed = Change::RuleChanged {
        keyword: "additionalProperties".into(),
        old: Value::Null,
        new: json!(false),
    };
    breaks(".", closed, |schema| {
        schema["additionalProperties"] = false.into();
    });
    let scalar = after(|schema| schema["properties"]["lines"] = json!({ "type": "string" }));
    assert!(scalar.contains(&Breaking {
        path: "lines".into(),
        change: Change::Retyped {
            old: "array".into(),
            new: "string".into()
        }
    }));
}

#[test]
fn the_values_of_an_enum_are_closed() {
    let set = |values: Value| {
        move |schema: &mut Value| {
            schema["properties"]["channel"] = json!({ "type": "string", "enum": values });
        }
    };
    let changed = |added: &[&str], removed: &[&str]| Change::EnumChanged {
        added: added.iter().map(ToString::to_string).collect(),
        removed: removed.iter().map(ToString::to_string).collect(),
    };
    breaks(
        "channel",
        changed(&["pigeon"], &[]),
        set(json!(["email", "sms", "pigeon"])),
    );
    breaks("channel", changed(&[], &["sms"]), set(json!(["email"])));
    breaks(
        "channel",
        changed(&["text"], &["sms"]),
        set(json!(["email", "text"])),
    );
    let opened = Change::RuleChanged {
        keyword: "enum".into(),
        old: json!(["email", "sms"]),
        new: Value::Null,
    };
    breaks("channel", opened, |schema| {
        schema["properties"]["channel"] = json!({ "type": "string" });
    });
}

#[test]
fn what_is_required_stays_so_and_nothing_more_becomes_it() {
    breaks("orderId", Change::MadeOptional, |schema| {
        schema["required"] = json!(["channel", "lines"]);
    });
    breaks("orderId", Change::MadeOptional, |schema| {
        // What `T` to `Option<T>` does.
        schema["required"] = json!(["channel", "lines"]);
        schema["properties"]["orderId"]["type"] = json!(["integer", "null"]);
    });
    breaks("orderId", Change::MadeOptional, |schema| {
        schema["properties"]["orderId"]["type"] = json!(["integer", "null"]);
    });
    breaks("note", Change::MadeRequired, |schema| {
        schema["required"] = json!(["orderId", "channel", "lines", "note"]);
    });
    breaks("note", Change::MadeRequired, |schema| {
        schema["properties"]["note"]["type"] = "string".into();
    });
    breaks("coupon", Change::RequiredFieldAdded, |schema| {
        schema["properties"]["coupon"] = json!({ "type": "string" });
        schema["required"] = json!(["orderId", "channel", "lines", "coupon"]);
    });
}

/// A repository with the current schemas released, altered by the caller.
fn repository(alter: impl FnOnce(&Path)) -> TempDir {
    let root = tempfile::tempdir().expect("a directory");
    let released = root.path().join(RELEASED);
    fs::create_dir_all(&released).expect("a directory");
    for (path, content) in compat::release_files() {
        fs::write(root.path().join(path), content).expect("a file");
    }
    alter(&released);
    root
}

#[test]
fn the_committed_release_is_kept() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let broken = compat::check_released(&root).expect("the released schemas are committed");
    let told: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn a_release_tells_what_the_current_types_break() {
    let root = repository(|released| {
        let path = released.join("user.deleted.v1.json");
        let mut schema: Value = serde_json::from_slice(&fs::read(&path).expect("released")).expect("JSON");
        schema["properties"]["reason"] = json!({ "type": "string" });
        schema["properties"]["userId"]["type"] = "string".into();
        fs::write(&path, schema.to_string()).expect("written");
        // Not among the current types, so it is new: fine.
        fs::remove_file(released.join("payout.paid.v1.json")).expect("removed");
        fs::write(released.join("user.married.v1.json"), "{}").expect("written");
        // A major version that has a successor may go.
        fs::write(released.join("user.signup.v0.json"), "{}").expect("written");
        fs::write(released.join("README.md"), "not a schema").expect("written");
    });
    let broken = compat::check_released(root.path()).expect("readable");
    let told: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("user.deleted.v1 breaks existing readers:\n"),
        "{}",
        told[0]
    );
    assert!(
        told[0].contains("\n  - `reason` was removed or renamed\n"),
        "{}",
        told[0]
    );
    assert!(
        told[0].contains("\n  - `userId` was string and is integer now\n"),
        "{}",
        told[0]
    );
    assert!(
        told[0].ends_with("major version in crates/events/src/event.rs"),
        "{}",
        told[0]
    );
    assert!(told[1].contains("the type is gone"), "{}", told[1]);
}

#[test]
fn a_release_that_cannot_be_read_is_an_error() {
    let nowhere = tempfile::tempdir().expect("a directory");
    assert!(matches!(
        compat::check_released(nowhere.path()),
        Err(ReleasedError::Read { .. })
    ));
    let broken = repository(|released| fs::write(released.join("a.b.v1.json"), "{").expect("written"));
    assert!(matches!(
        compat::check_released(broken.path()),
        Err(ReleasedError::Json { .. })
    ));
    let misnamed =
        repository(|released| fs::write(released.join("user.signup.json"), "{}").expect("written"));
    assert!(matches!(
        compat::check_released(misnamed.path()),
        Err(ReleasedError::Name(_))
    ));
}

#[test]
fn every_current_schema_differs_from_every_other() {
    // The check compares what it is given: two schemas it calls equal must not be two types.
    let schemas = generate::schemas();
    for (a, first) in &schemas {
        for (b, second) in schemas.iter().filter(|(b, _)| a != b) {
            assert_ne!(compat::check(first, second), [], "{a} and {b}");
        }
    }
}
