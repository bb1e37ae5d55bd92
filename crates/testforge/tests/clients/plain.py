"""Sites without OAuth: Azure Repos, another Git host, a plain host."""

import ssl

import requests
from cryptography import x509

from site_under_test import done, refused


def run_azure(site):
    site.add_account("ann")
    site.add_account("bob")
    urls = site.add_repository("org/my project", "app")
    urls["ssh"] = urls["ssh"].replace(" ", "%20")
    file, line = site.new_key("rsa", 3072)
    key = site.control("keys", {"login": "ann", "key": line})
    assert key["expires_at"], "a key lives one year"
    site.over_ssh(urls, file, site.new_key("rsa", 3072)[0])
    for kind in ("ed25519", "ecdsa"):
        answer = requests.post(
            f"{site.control_url}/keys", json={"login": "ann", "key": site.new_key(kind)[1]})
        assert answer.status_code == 400, answer.text
    refused("keys that are not RSA")
    old = site.ssh_command(file, "-o", "PubkeyAcceptedAlgorithms=ssh-rsa")
    assert "Permission denied" in site.cannot_clone(urls["ssh"], GIT_SSH_COMMAND=old)
    refused("a signature by SHA-1")
    shell = site.ssh(file)
    assert shell.returncode == 1 and "Shell access is not supported" in shell.stderr, shell
    page = requests.get(f"{site.url}/org/_apis/projects")
    assert page.status_code == 203 and "Sign in" in page.text
    site.cannot_clone(site.with_credential(urls["https"], "ann", "anything"))
    refused("everything over HTTPS")
    site.control("clock", {"advance_s": 366 * 86400})
    site.cannot_clone(urls["ssh"], GIT_SSH_COMMAND=site.ssh_command(file))
    refused("a key older than a year")


def run_other_git(site):
    site.add_account("ann")
    site.add_account("bob")
    urls = site.add_repository("ann", "app")
    file, line = site.new_key()
    site.control("keys", {"login": "ann", "key": line})
    site.over_ssh(urls, file, site.new_key()[0])
    again = requests.post(f"{site.control_url}/keys", json={"login": "bob", "key": line})
    assert again.status_code == 400, again.text
    refused("the same key on a second account")
    others, line = site.new_key("ecdsa")
    site.control("keys", {"login": "bob", "key": line})
    command = site.ssh_command(others)
    assert "not found" in site.cannot_clone(urls["ssh"], GIT_SSH_COMMAND=command)
    refused("another person's repository")
    assert site.ssh(file, "rm", "-rf", "/").returncode == 1
    refused("a command that is not Git's")
    wrong = urls["ssh"].replace("git@", "root@")
    site.cannot_clone(wrong, GIT_SSH_COMMAND=site.ssh_command(file))
    refused("another user than git")
    site.cannot_clone(urls["https"])
    refused("a private repository over HTTPS")


def run_anonymous(site):
    site.add_account("ann")
    urls = site.add_repository("ann", "app")
    cloned = site.run("git", "clone", "--quiet", urls["https"], "clone")
    assert cloned.returncode == 0, cloned.stderr
    done("an anonymous clone")
    pushed = site.run("git", "-C", "clone", "push", "origin", "HEAD:new")
    assert pushed.returncode != 0
    refused("an anonymous push")
    site.cannot_clone(urls["https"] + "x")
    refused("a repository that does not exist")
    site.control("accounts/change", {"login": "ann", "password": "correct"})
    wrong = site.with_credential(urls["https"], "ann", "wrong")
    assert site.run("git", "-C", "clone", "push", wrong, "HEAD:new").returncode != 0
    refused("a push by a wrong password")
    site.clone_and_push(site.with_credential(urls["https"], "ann", "correct"), "with-password")
    done("a push by password")
    assert requests.get(f"{site.url}/login/oauth/authorize").status_code == 404
    certificate(site)


def certificate(site):
    """The server's certificate is a leaf of its own, not the authority's."""
    host, port = site.url.removeprefix("https://").split(":")
    pem = ssl.get_server_certificate((host, int(port)), ca_certs=site.ca)
    leaf = x509.load_pem_x509_certificate(pem.encode())
    with open(site.ca, "rb") as file:
        authority = x509.load_pem_x509_certificate(file.read())
    assert leaf.issuer == authority.subject != leaf.subject
    try:
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert not basic.ca
    except x509.ExtensionNotFound:
        pass
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    done("a leaf certificate signed by the authority")
