//! Every public method is called by the contract, and asked as a second user.

use std::collections::BTreeMap;
use std::path::Path;

/// The public methods of the store with their parameters, without white space.
fn methods() -> BTreeMap<String, String> {
    let mut methods = BTreeMap::new();
    for text in sources("src") {
        for part in text.split("pubasyncfn").skip(1) {
            let (name, rest) = part.split_once('(').unwrap();
            let (parameters, _) = rest.split_once("->").unwrap();
            methods.insert(name.to_owned(), parameters.to_owned());
        }
    }
    methods
}

/// The files of a folder of this crate, each without white space.
fn sources(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            texts.push(text.split_whitespace().collect());
        }
    }
    texts
}

fn called(contract: &[String], call: &str) -> bool {
    contract.iter().any(|text| text.contains(call))
}

#[test]
fn every_public_method_stands_in_the_contract() {
    let (methods, contract) = (methods(), sources("tests/contract"));
    assert!(methods.len() > 100, "{}", methods.len());
    for name in methods.keys().filter(|name| *name != "open") {
        assert!(
            called(&contract, &format!(".{name}(")),
            "{name} is not called"
        );
    }
}

#[test]
fn every_method_that_acts_for_a_user_is_asked_as_another() {
    let contract = sources("tests/contract");
    for (name, parameters) in methods() {
        if !parameters.starts_with("&self,user:&UserId") {
            continue;
        }
        let asked = ["&stranger", "stranger", "&nobody"]
            .iter()
            .any(|second| called(&contract, &format!(".{name}({second}")));
        assert!(asked, "{name} is not asked as a second user");
    }
}
