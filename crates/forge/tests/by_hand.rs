//! The kinds whose keys people paste by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{kind, site, url};
use forge::{AuthStyle, Narrowing, Usage};

#[test]
fn azure_has_ssh_and_rsa_alone() {
    let azure = kind("azure-repos");
    assert_eq!(azure.auth(), AuthStyle::None);
    assert_eq!(azure.algorithms(), ["rsa-3072"]);
    assert!(matches!(azure.narrowing(), Narrowing::Impossible(_)));
    let site = site(azure, "https://dev.azure.com/acme");
    assert_eq!(site.git, None);
    assert!(azure.whoami(&site).is_none());
    assert!(
        azure
            .add_key(&site, "t", "ssh-rsa A c", Usage::Auth)
            .is_none()
    );
    assert!(azure.paste_steps().iter().any(|step| step.contains("year")));
}

#[test]
fn azure_has_the_same_ssh_hosts_under_each_of_its_names() {
    for address in [
        "https://dev.azure.com/acme",
        "https://dev.azure.com",
        "https://acme.visualstudio.com/DefaultCollection",
    ] {
        let defaults = kind("azure-repos").defaults(&url(address)).unwrap();
        assert_eq!(
            defaults.ssh_addresses,
            ["ssh.dev.azure.com", "vs-ssh.visualstudio.com"]
        );
        assert_eq!(
            (defaults.ssh_user.as_str(), defaults.host_keys.len()),
            ("git", 1)
        );
    }
    let own = kind("azure-repos")
        .defaults(&url("https://tfs.example.com/tfs"))
        .unwrap();
    assert_eq!(own.ssh_addresses, ["tfs.example.com"]);
    assert!(own.host_keys.is_empty());
    let why = kind("azure-repos")
        .defaults(&url("https://ssh.dev.azure.com"))
        .unwrap_err();
    assert!(why.contains("https://dev.azure.com/"), "{why}");
}

#[test]
fn azure_has_its_key_page_in_the_organisation() {
    for (address, page) in [
        (
            "https://dev.azure.com/acme",
            "https://dev.azure.com/acme/_usersSettings/keys",
        ),
        (
            "https://dev.azure.com/acme/",
            "https://dev.azure.com/acme/_usersSettings/keys",
        ),
        ("https://dev.azure.com", "https://dev.azure.com/"),
        (
            "https://acme.visualstudio.com",
            "https://acme.visualstudio.com/_usersSettings/keys",
        ),
    ] {
        let azure = kind("azure-repos");
        assert_eq!(
            azure.key_page(&site(azure, address)).unwrap().as_str(),
            page
        );
    }
}

#[test]
fn any_host_can_be_another_git_host() {
    let other = kind("other-git");
    for (address, user, ssh, keys) in [
        (
            "https://git.example.com:3000/git",
            "git",
            vec!["git.example.com"],
            0,
        ),
        (
            "ssh://gerrit@review.example.com:29418",
            "gerrit",
            vec!["review.example.com:29418"],
            0,
        ),
        ("https://[2001:db8::7]", "git", vec!["[2001:db8::7]"], 0),
        (
            "https://bitbucket.org",
            "git",
            vec!["bitbucket.org", "altssh.bitbucket.org:443"],
            3,
        ),
        ("https://codeberg.org", "git", vec!["codeberg.org"], 3),
        (
            "https://github.com",
            "git",
            vec!["github.com", "ssh.github.com:443"],
            3,
        ),
    ] {
        let defaults = other.defaults(&url(address)).unwrap();
        assert_eq!(defaults.ssh_user, user, "{address}");
        assert_eq!(defaults.ssh_addresses, ssh, "{address}");
        assert_eq!(defaults.host_keys.len(), keys, "{address}");
        assert_eq!(defaults.git, None, "{address}");
    }
    assert!(other.defaults(&url("mailto:ann@example.com")).is_err());
    assert_eq!(other.algorithms()[0], "ed25519");
}

#[test]
fn knows_the_key_pages_of_public_hosts_alone() {
    let other = kind("other-git");
    let page = |address| {
        other
            .key_page(&site(other, address))
            .map(|page| page.to_string())
    };
    let bitbucket = "https://bitbucket.org/account/settings/ssh-keys/";
    assert_eq!(page("https://bitbucket.org").as_deref(), Some(bitbucket));
    assert_eq!(page("https://git.example.com"), None);
}
