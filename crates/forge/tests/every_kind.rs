//! The promises every kind keeps. A new line in `KINDS` is tested here without a new test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{account, client, fixtures, kind, plain, reply, site, url};
use forge::{AuthStyle, KINDS, Kind, Narrowing, Ours, Purpose, Site, Step, Usage};
use secrecy::ExposeSecret;

fn ours(url_text: Option<&str>) -> Ours {
    Ours {
        name: "Forgepass".into(),
        homepage: url("https://forgepass.example.com/"),
        callback: client().callback,
        consumer_key: "forgepass-key".into(),
        public_key: Some("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n".into()),
        url: url_text.map(url),
    }
}

/// Every call a kind can describe, as printed and as URLs.
fn calls(kind: &dyn Kind, site: &Site) -> (String, Vec<String>) {
    let (mut printed, mut urls) = (String::new(), Vec::new());
    macro_rules! note {
        ($($call:expr),* $(,)?) => {$(
            if let Some(call) = $call {
                printed += &format!("{call:?}\n");
                urls.push(call.url.to_string());
            }
        )*};
    }
    let ann = account("101", "ann");
    let token = "secret-token".into();
    note!(kind.whoami(site), kind.probe(site));
    note!(
        kind.revoke(site, &client(), &token),
        kind.mint(site, &ann, "forgepass", 30)
    );
    note!(
        kind.list_minted(site, &ann),
        kind.delete_minted(site, &ann, "12")
    );
    for usage in [Usage::Auth, Usage::Signing, Usage::AuthAndSigning] {
        note!(
            kind.list_keys(site, usage),
            kind.delete_key(site, "12", usage)
        );
        note!(kind.add_key(site, "t", "ssh-ed25519 AAAA c", usage));
    }
    let oauth2 = kind.oauth2(site);
    note!(oauth2.as_ref().map(|oauth| oauth.exchange(
        &client(),
        &token,
        &"secret-verifier".into()
    )));
    note!(
        oauth2
            .as_ref()
            .map(|oauth| oauth.refresh(&client(), &"secret-refresh".into()))
    );
    let oauth1 = kind.oauth1(site);
    note!(
        oauth1
            .as_ref()
            .map(|oauth| oauth.request_token(&url("https://us.example.com/?state=secret-state")))
    );
    note!(
        oauth1
            .as_ref()
            .map(|oauth| oauth.access_token(&token, &"secret-verifier".into()))
    );
    (printed, urls)
}

#[test]
fn has_an_id_of_its_own() {
    let ids: BTreeSet<&str> = KINDS.iter().map(|kind| kind.id()).collect();
    assert_eq!(ids.len(), KINDS.len());
    assert!(forge::kind("sourceforge").is_none());
    for id in ids {
        assert_eq!(kind(id).id(), id);
        assert!(
            id.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
    }
}

#[test]
fn has_a_fixture_folder_and_a_page_in_the_guide() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers");
    for kind in KINDS {
        let folder = fixtures().join(kind.id());
        assert!(
            std::fs::read_dir(&folder).unwrap().count() > 0,
            "{}",
            kind.id()
        );
        let page = std::fs::read_to_string(docs.join(format!("{}.md", kind.id())))
            .unwrap_or_else(|e| panic!("docs/providers/{}.md: {e}", kind.id()));
        for step in kind.guide(&ours(None)) {
            for (field, _) in step.values {
                assert!(
                    page.contains(&field),
                    "docs/providers/{}.md: {field:?}",
                    kind.id()
                );
            }
        }
    }
}

#[test]
fn every_fixture_is_a_readable_reply() {
    for kind in KINDS {
        for file in std::fs::read_dir(fixtures().join(kind.id())).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if let Some(stem) = name.strip_suffix(".http") {
                reply(&format!("{}/{stem}", kind.id()));
            }
        }
    }
}

#[test]
fn stays_under_the_base_url_with_its_path() {
    for kind in KINDS {
        let site = site(*kind, "https://code.example.com/forge");
        for url in calls(*kind, &site).1 {
            assert!(
                url.starts_with("https://code.example.com/forge/"),
                "{} {url}",
                kind.id()
            );
        }
        let oauth2 = kind
            .oauth2(&site)
            .map(|oauth| vec![oauth.authorize, oauth.token]);
        let oauth1 = kind
            .oauth1(&site)
            .map(|o| vec![o.authorize, o.request_token, o.access_token]);
        let page = kind.key_page(&site).map(|page| vec![page]);
        for url in [oauth2, oauth1, page].into_iter().flatten().flatten() {
            assert!(url.path().starts_with("/forge/"), "{} {url}", kind.id());
        }
    }
}

#[test]
fn has_the_calls_its_way_of_proving_itself_needs() {
    for kind in KINDS {
        let site = site(*kind, "https://code.example.com");
        let none = kind.auth() == AuthStyle::None;
        assert_eq!(
            kind.oauth2(&site).is_some(),
            kind.auth() == AuthStyle::OAuth2
        );
        assert_eq!(
            kind.oauth1(&site).is_some(),
            kind.auth() == AuthStyle::OAuth1
        );
        assert_eq!(kind.whoami(&site).is_none(), none, "{}", kind.id());
        assert_eq!(kind.usages().is_empty(), none, "{}", kind.id());
        assert_eq!(site.git.is_none(), none, "{}", kind.id());
        for usage in kind.usages() {
            assert!(kind.list_keys(&site, *usage).is_some());
            assert!(
                kind.add_key(&site, "t", "ssh-ed25519 AAAA c", *usage)
                    .is_some()
            );
            assert!(kind.delete_key(&site, "1", *usage).is_some());
        }
        let mints = kind.mint(&site, &account("1", "ann"), "n", 1).is_some();
        assert!(mints || kind.narrowing() != Narrowing::Mint);
        assert!(!kind.algorithms().is_empty() && !kind.paste_steps().is_empty());
    }
}

#[test]
fn asks_git_for_no_key_rights_and_manage_for_them() {
    for kind in KINDS {
        let rights = |purpose| {
            let scopes = kind.scopes(purpose).iter().map(|scope| (*scope).to_owned());
            kind.holds_key_rights(&scopes.collect::<Vec<_>>())
        };
        assert!(!rights(Some(Purpose::Git)), "{}", kind.id());
        if kind.narrowing() == Narrowing::SecondConsent {
            assert!(rights(Some(Purpose::Manage)), "{}", kind.id());
            let all: BTreeSet<_> = kind.scopes(None).iter().collect();
            let both = [Purpose::Manage, Purpose::Git].map(|p| kind.scopes(Some(p)));
            let both: BTreeSet<_> = both.into_iter().flatten().collect();
            // One scope may include others, such as GitLab's `api`; none is asked for besides these.
            assert!(rights(None) && all.is_subset(&both), "{}", kind.id());
        }
    }
}

#[test]
fn never_deletes_without_a_plain_id() {
    for kind in KINDS {
        let site = site(*kind, "https://code.example.com");
        for id in ["", "/", "..", "1/2", "1?user=bob", "%20", " "] {
            for usage in [Usage::Auth, Usage::Signing, Usage::AuthAndSigning] {
                assert!(
                    kind.delete_key(&site, id, usage).is_none(),
                    "{} {id:?}",
                    kind.id()
                );
            }
            assert!(
                kind.delete_minted(&site, &account("1", "ann"), id)
                    .is_none()
            );
        }
    }
}

#[test]
fn never_prints_a_secret() {
    for kind in KINDS {
        let (printed, urls) = calls(*kind, &site(*kind, "https://code.example.com"));
        for secret in ["secret-", "our-secret"] {
            assert!(!printed.contains(secret), "{printed}");
            assert!(!urls.join(" ").contains(secret), "{urls:?}");
        }
    }
    let site = site(kind("gitlab"), "https://gitlab.com");
    let call = kind("gitlab")
        .oauth2(&site)
        .unwrap()
        .exchange(&client(), &"c".into(), &"v".into());
    let body = r#"{"access_token":"at-1234","refresh_token":"rt-1234"}"#;
    let Ok(Step::Done(tokens)) = call.read(plain(200, body)) else {
        panic!("no tokens")
    };
    assert_eq!(tokens.access.expose_secret(), "at-1234");
    let printed = format!("{tokens:?} {:?} {:?}", client(), plain(200, body));
    assert!(
        !printed.contains("-1234") && !printed.contains("our-secret"),
        "{printed}"
    );
}

#[test]
fn a_broken_reply_is_no_dead_token_and_is_not_quoted() {
    for kind in KINDS {
        let site = site(*kind, "https://code.example.com");
        for body in [
            "",
            "<html>secret-1</html>",
            "{\"id\":\"secret-1\"}",
            "[\"secret-1\"",
        ] {
            let (Some(list), Some(add)) = (
                kind.list_keys(&site, Usage::Auth),
                kind.add_key(&site, "t", "ssh-ed25519 AAAA c", Usage::Auth),
            ) else {
                continue;
            };
            for refusal in [
                list.read(plain(200, body)).unwrap_err(),
                add.read(plain(201, body)).unwrap_err(),
            ] {
                assert!(
                    matches!(refusal, forge::Refusal::Shape(_)),
                    "{} {refusal:?}",
                    kind.id()
                );
                assert!(!refusal.to_string().contains("secret-1"), "{refusal}");
            }
        }
        if let Some(whoami) = kind.whoami(&site) {
            let refusal = whoami.read(plain(503, "<html>")).unwrap_err();
            assert_eq!(
                refusal,
                forge::Refusal::Status(http::StatusCode::SERVICE_UNAVAILABLE)
            );
        }
        if let Some(whoami) = kind.whoami(&site) {
            let refusal = whoami.read(plain(401, "<html>proxy</html>")).unwrap_err();
            assert_ne!(refusal, forge::Refusal::TokenRejected, "{}", kind.id());
        }
    }
}

#[test]
fn the_guide_shows_our_exact_values() {
    for kind in KINDS {
        let steps = kind.guide(&ours(Some("https://code.example.com/forge")));
        assert!(!steps.is_empty());
        let values: Vec<&str> = steps
            .iter()
            .flat_map(|step| &step.values)
            .map(|(_, value)| value.as_str())
            .collect();
        match kind.auth() {
            AuthStyle::OAuth2 => {
                assert!(values.contains(&"https://forgepass.example.com/oauth/callback"));
            }
            AuthStyle::OAuth1 => {
                assert!(values.contains(&"forgepass-key"));
                assert!(
                    values
                        .iter()
                        .any(|value| value.starts_with("-----BEGIN PUBLIC KEY"))
                );
            }
            AuthStyle::None => {}
        }
        if kind.auth() != AuthStyle::None {
            let text = steps
                .iter()
                .map(|step| step.text.as_str())
                .collect::<String>();
            assert!(
                text.contains("https://code.example.com/forge/"),
                "{}",
                kind.id()
            );
        }
    }
}

#[test]
fn refuses_the_address_of_another_public_forge_and_names_the_right_kind() {
    for (address, right) in [
        ("https://github.com", "github"),
        ("https://gitlab.com", "gitlab"),
        ("https://dev.azure.com/acme", "azure-repos"),
        ("https://bitbucket.org", "other-git"),
    ] {
        for kind in KINDS
            .iter()
            .filter(|kind| !["other-git", right].contains(&kind.id()))
        {
            let why = kind.defaults(&url(address)).expect_err(kind.id());
            assert!(why.contains(&format!("`{right}`")), "{} {why}", kind.id());
        }
        assert!(kind(right).defaults(&url(address)).is_ok());
    }
}

#[test]
fn ships_host_keys_with_the_fingerprints_their_operators_publish() {
    let mut seen = 0;
    for (id, address) in [
        ("github", "https://github.com"),
        ("gitlab", "https://gitlab.com"),
        ("azure-repos", "https://dev.azure.com/acme"),
        ("other-git", "https://bitbucket.org"),
        ("other-git", "https://codeberg.org"),
    ] {
        let defaults = kind(id).defaults(&url(address)).unwrap();
        let host = defaults.ssh_addresses[0].as_str();
        let published = std::fs::read_to_string(fixtures().join(id).join("fingerprints.txt"));
        let published = published.unwrap();
        let published: BTreeSet<String> = published
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{host} ")).map(str::to_owned))
            .collect();
        let shipped: BTreeSet<String> = defaults.host_keys.iter().map(|key| print(key)).collect();
        assert_eq!(shipped, published, "{host}");
        seen += shipped.len();
    }
    assert_eq!(seen, 13);
}

/// `algorithm base64` as `algorithm SHA256:…`.
fn print(key: &str) -> String {
    use base64::{Engine, engine::general_purpose as b64};
    let (algorithm, blob) = key.split_once(' ').unwrap();
    let blob = b64::STANDARD.decode(blob).unwrap();
    // The blob repeats the algorithm's name after its length.
    assert_eq!(&blob[4..4 + algorithm.len()], algorithm.as_bytes());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &blob);
    format!("{algorithm} SHA256:{}", b64::STANDARD_NO_PAD.encode(hash))
}
