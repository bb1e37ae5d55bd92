//! What the configuration accepts and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use secrecy::ExposeSecret;

use super::*;

fn variables_of(pairs: &[(&str, &str)]) -> Environment {
    let home = [("HOME", "/home/ann")];
    home.iter()
        .chain(pairs)
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn parse(text: &str, pairs: &[(&str, &str)]) -> Result<Config> {
    Config::parse(text, &variables_of(pairs))
}

fn fault(text: &str, pairs: &[(&str, &str)]) -> String {
    parse(text, pairs)
        .expect_err("the configuration must be refused")
        .to_string()
}

fn bound() -> SocketAddr {
    "127.0.0.1:7080".parse().unwrap()
}

#[test]
fn a_fresh_start_is_on_loopback_with_an_embedded_database() {
    let config = parse("", &[]).unwrap();
    assert_eq!(config.listen, bound());
    assert_eq!(
        config.public_url(bound()).as_str(),
        "http://localhost:7080/"
    );
    assert_eq!(
        config.data_dir,
        Path::new("/home/ann/.local/share/forgepass")
    );
    assert_eq!(
        config.database.url().expose_secret(),
        "sqlite:///home/ann/.local/share/forgepass/forgepass.db"
    );
    assert_eq!(
        config.key_file,
        Path::new("/home/ann/.local/share/forgepass/forgepass.key")
    );
    assert!(config.tls.is_none() && config.trusted_proxies.is_empty());
}

#[test]
fn the_public_url_follows_the_port_the_system_chose() {
    let config = parse("[server]\nlisten = \"127.0.0.1:0\"", &[]).unwrap();
    let url = config.public_url("127.0.0.1:40123".parse().unwrap());
    assert_eq!(url.as_str(), "http://localhost:40123/");
}

#[test]
fn refuses_keys_it_does_not_know() {
    assert!(fault("[server]\npublic_uri = \"x\"", &[]).contains("public_uri"));
    assert!(fault("[serve]\nlisten = \"x\"", &[]).contains("serve"));
    assert!(fault("[[provider]]\nclient_secret = \"x\"", &[]).contains("client_secret"));
}

#[test]
fn a_variable_beats_the_file() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\ntrusted_proxies = [\"10.0.0.1\"]";
    let config = parse(
        text,
        &[
            ("FORGEPASS__SERVER__LISTEN", "127.0.0.1:2"),
            ("FORGEPASS__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.trusted_proxies.len(), 2);
}

#[test]
fn every_key_can_be_a_variable() {
    let values = |key: &str| match key {
        "public_url" => "https://forgepass.example.com",
        "listen" => "0.0.0.0:443",
        "database_url_file" => "",
        "database_url" => "sqlite:///data/forgepass.db",
        "format" => "json",
        "trusted_proxies" => "10.0.0.1",
        "outgoing_proxy" => "http://proxy.example.com:3128",
        "max_days" => "90",
        _ => "word",
    };
    let pairs: Vec<_> = KEYS
        .iter()
        .map(|(section, key)| {
            (
                format!("FORGEPASS__{section}__{key}").to_ascii_uppercase(),
                values(key),
            )
        })
        .collect();
    let environment = pairs
        .iter()
        .map(|(name, value)| (name.clone(), (*value).into()))
        .collect();
    let config = Config::parse("", &environment).unwrap();
    assert_eq!(config.name, "word");
    assert_eq!(
        config.log,
        Log {
            format: LogFormat::Json,
            level: "word".into()
        }
    );
    assert_eq!(
        config.tls,
        Some(Tls {
            cert: "word".into(),
            key: "word".into()
        })
    );
    assert_eq!(config.key_file, Path::new("word"));
}

#[test]
fn an_unknown_variable_with_two_underscores_refuses_the_start() {
    assert!(fault("", &[("FORGEPASS__SERVER__LISTN", "x")]).contains("FORGEPASS__SERVER__LISTN"));
    assert!(fault("", &[("FORGEPASS_SERVER__LISTEN", "x")]).contains("FORGEPASS_SERVER__LISTEN"));
    assert!(fault("", &[("FORGEPASS__LISTEN", "x")]).contains("FORGEPASS__LISTEN"));
}

#[test]
fn other_variables_of_the_same_prefix_are_left_alone() {
    let others = [
        ("FORGEPASS_URL", "x"),
        ("FORGEPASS_PORT_7080_TCP_ADDR", "x"),
        ("FORGEPASS", ""),
    ];
    assert!(parse("", &others).is_ok());
}

#[test]
fn a_public_url_is_required_off_loopback() {
    let text = "[server]\nlisten = \"0.0.0.0:7080\"";
    assert!(fault(text, &[]).contains("server.public_url"));
    let url = (
        "FORGEPASS__SERVER__PUBLIC_URL",
        "https://forgepass.example.com",
    );
    assert_eq!(
        parse(text, &[url]).unwrap().public_url(bound()).as_str(),
        "https://forgepass.example.com/"
    );
}

#[test]
fn refuses_plain_http_off_loopback_unless_a_proxy_is_named() {
    let text = "[server]\npublic_url = \"http://forgepass.example.com\"";
    assert!(fault(text, &[]).contains("https://"));
    assert!(parse(text, &[("FORGEPASS__SERVER__TRUSTED_PROXIES", "10.0.0.1")]).is_ok());
    assert!(parse("[server]\npublic_url = \"http://127.0.0.1:7080\"", &[]).is_ok());
    assert!(parse("[server]\npublic_url = \"http://[::1]:7080\"", &[]).is_ok());
    assert!(
        fault(
            "[server]\npublic_url = \"http://localhost.example.com\"",
            &[]
        )
        .contains("https")
    );
}

#[test]
fn refuses_a_public_url_that_is_more_than_a_host() {
    for url in [
        "https://example.com/forgepass",
        "https://example.com/?a",
        "https://ann@example.com",
        "ftp://example.com",
        "example.com",
    ] {
        let text = format!("[server]\npublic_url = \"{url}\"");
        assert!(fault(&text, &[]).starts_with("server.public_url"), "{url}");
    }
}

#[test]
fn postgresql_needs_a_key_file() {
    let url = (
        "FORGEPASS__SERVER__DATABASE_URL",
        "postgres://forgepass@db.example.com/forgepass",
    );
    assert!(fault("", &[url]).starts_with("server.key_file"));
    let config = parse("[server]\nkey_file = \"/etc/forgepass/key\"", &[url]).unwrap();
    assert_eq!(config.key_file, Path::new("/etc/forgepass/key"));
    assert!(!config.database.is_embedded());
}

#[test]
fn a_database_address_may_stand_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(
        &file,
        "postgres://forgepass:hunter2@db.example.com/forgepass\n",
    )
    .unwrap();
    let text = format!(
        "[server]\nkey_file = \"k\"\ndatabase_url_file = \"{}\"",
        file.display()
    );
    let config = parse(&text, &[]).unwrap();
    assert!(
        config
            .database
            .url()
            .expose_secret()
            .ends_with("/forgepass")
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_faulty_database_address_does_not_show_its_password() {
    let url = (
        "FORGEPASS__SERVER__DATABASE_URL",
        "mysql://forgepass:hunter2@db.example.com/f",
    );
    assert!(!fault("", &[url]).contains("hunter2"));
}

#[test]
fn a_faulty_file_is_told_by_line_and_without_its_text() {
    let text = "[server]\n\ndatabase_url = \"postgres://forgepass:hunter2@db\" oops";
    let fault = fault(text, &[]);
    assert!(
        fault.contains("line 3") && !fault.contains("hunter2"),
        "{fault}"
    );
}

#[test]
fn the_longest_life_of_workspaces_is_in_days() {
    let config = parse("[workspaces]\nmax_days = 2", &[]).unwrap();
    assert_eq!(config.workspace_ttl_s, Some(172_800));
    assert!(fault("[workspaces]\nmax_days = 0", &[]).contains("workspaces.max_days"));
    assert!(parse("", &[]).unwrap().workspace_ttl_s.is_none());
}

#[test]
fn tls_needs_both_files() {
    assert!(fault("[server]\ntls_cert = \"a\"", &[]).starts_with("server.tls_key"));
    assert!(fault("[server]\ntls_key = \"a\"", &[]).starts_with("server.tls_cert"));
}

#[test]
fn a_declared_provider_reads_its_secret_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let text = format!(
        "[[provider]]\nkind = \"gitlab\"\nname = \"GitLab\"\nurl = \"https://gitlab.example.com\"\n\
         client_id = \"id\"\nclient_secret_file = \"{}\"",
        file.display()
    );
    let config = parse(&text, &[]).unwrap();
    let secret = config.providers[0].client_secret.as_ref().unwrap();
    assert_eq!(secret.expose_secret(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_missing_secret_file_is_named() {
    let text = "[[provider]]\nkind = \"gitlab\"\nname = \"GitLab\"\nurl = \"https://x.example.com\"\n\
                client_secret_file = \"/does/not/exist\"";
    assert!(fault(text, &[]).contains("/does/not/exist"));
}

#[test]
fn networks_contain_what_they_say() {
    let contains = |network: &str, address: &str| {
        network
            .parse::<Network>()
            .unwrap()
            .contains(address.parse().unwrap())
    };
    assert!(contains("10.0.0.0/8", "10.255.0.1"));
    assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert!(!contains("10.0.0.0/8", "11.0.0.1"));
    assert!(contains("0.0.0.0/0", "192.0.2.1"));
    assert!(contains("192.0.2.1", "192.0.2.1"));
    assert!(!contains("192.0.2.1", "192.0.2.2"));
    assert!(contains("fd00::/8", "fd12::1"));
    assert!(!contains("fd00::/8", "fe80::1"));
    assert!(!contains("fd00::/8", "10.0.0.1"));
    assert!("10.0.0.0/33".parse::<Network>().is_err());
    assert!("proxy.example.com".parse::<Network>().is_err());
}
