//! The API document is checked in, so that a change of the API is seen in review.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Site;

const GOLDEN: &str = include_str!("../openapi.json");

#[test]
fn the_document_is_the_one_checked_in() {
    let document = server::api::document().to_pretty_json().unwrap();
    assert!(
        document.trim() == GOLDEN.trim(),
        "the API has changed: look at the difference after \
         `cargo run -p server -- openapi > crates/server/openapi.json`"
    );
}

#[tokio::test]
async fn the_server_serves_it() {
    let site = Site::new().await;
    let answer = site.stranger().get("/api/v1/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let served: serde_json::Value = answer.json();
    assert_eq!(
        served,
        serde_json::from_str::<serde_json::Value>(GOLDEN).unwrap()
    );
    assert_eq!(served["openapi"], "3.1.0");
}

#[test]
fn every_operation_names_its_errors_and_has_an_id_of_its_own() {
    let document: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id), "{what}: the id is taken");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert_eq!(
                problem["schema"]["$ref"], "#/components/schemas/Problem",
                "{what}"
            );
            assert!(operation["security"].is_array(), "{what}");
        }
    }
}
