"""Bitbucket Server: OAuth 2.0 with the newer, OAuth 1.0a with both."""

import base64
import json

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from oauthlib.oauth1 import SIGNATURE_RSA, Client
from requests_oauthlib import OAuth1Session, OAuth2Session

from site_under_test import CALLBACK, done, parameters, refused


def link(site, app, scopes, login="ann"):
    session = OAuth2Session(app[0], redirect_uri=CALLBACK, scope=scopes)
    url, state = session.authorization_url(f"{site.url}/rest/oauth2/latest/authorize")
    back = site.press(url, login)
    assert parameters(back)["state"] == state
    session.fetch_token(
        f"{site.url}/rest/oauth2/latest/token",
        authorization_response=back,
        client_secret=app[1],
        include_client_id=True,
    )
    return session


def run_oauth2(site):
    site.add_account("ann")
    site.add_account("bob")
    app = site.add_app(scopes=["ACCOUNT_WRITE", "REPO_WRITE"])
    urls = site.add_repository("TEAM", "app")
    assert requests.get(f"{site.url}/rest/oauth2/1.0/client").status_code == 401
    manage = link(site, app, ["ACCOUNT_WRITE"])
    git = link(site, app, ["REPO_WRITE"])
    assert git.token["expires_in"] == 3600 and "refresh_token" in git.token, git.token
    file, line = site.new_key()
    identity(site, manage)
    keys(site, manage, line)
    https = site.with_credential(urls["https"], "x-token-auth", git.token["access_token"])
    site.clone_and_push(https, "over-https")
    done("OAuth, user, key, clone and push over HTTPS")
    site.over_ssh(urls, file, site.new_key()[0])
    consent(site, app)
    token_endpoint(site, app)
    rights(site, manage, git, urls)
    rotation(site, app, git)


def identity(site, session):
    name = session.get(f"{site.url}/plugins/servlet/applinks/whoami")
    assert name.text == "ann" and name.headers["x-ausername"] == "ann", name.text
    user = session.get(f"{site.url}/rest/api/latest/users/ann").json()
    assert (user["name"], user["type"]) == ("ann", "NORMAL") and isinstance(user["id"], int), user
    # Who is not recognised is anonymous, which is no error.
    nobody = requests.get(f"{site.url}/plugins/servlet/applinks/whoami",
                          headers={"Authorization": "Bearer unknown"})
    assert (nobody.status_code, nobody.text) == (200, ""), nobody.text
    unknown = requests.get(f"{site.url}/rest/api/1.0/users/ann")
    assert unknown.status_code == 401, unknown.text
    assert "IncorrectPassword" in unknown.json()["errors"][0]["exceptionName"], unknown.text
    refused("users to the anonymous")


def keys(site, session, line):
    url = f"{site.url}/rest/ssh/latest/keys"
    added = session.post(url, json={"text": line})
    assert added.status_code == 201 and added.json()["text"] == line, added.text
    assert added.json()["label"] == line.split(" ", 2)[2], added.text
    again = session.post(url, json={"text": line, "label": "again"})
    assert again.status_code == 409, again.text
    assert again.json()["errors"][0]["exceptionName"].endswith("DuplicateSshKeyException")
    refused("the same key twice")
    assert session.post(url, json={"text": "nonsense"}).status_code == 400
    refused("a broken key")
    other = session.post(url, json={"text": site.new_key()[1], "label": "second"})
    page = session.get(url, params={"start": 0, "limit": 1}).json()
    assert (page["isLastPage"], page["nextPageStart"], page["size"]) == (False, 1, 1), page
    page = session.get(url, params={"start": 1, "limit": 1}).json()
    assert page["isLastPage"] and page["values"][0]["label"] == "second", page
    done("a list over several pages")
    for _ in range(2):
        assert session.delete(f"{url}/{other.json()['id']}").status_code == 204
    assert session.get(url).json()["size"] == 1


def consent(site, app):
    base = f"{site.url}/rest/oauth2/latest/authorize?client_id={app[0]}&response_type=code"
    site.error_page(f"{base}&redirect_uri={CALLBACK}/below&scope=REPO_WRITE")
    refused("a redirect URI below the registered one")
    url = f"{base}&redirect_uri={CALLBACK}&state=a%252Bb"
    back = parameters(site.press(f"{url}&scope=REPO_WRITE", "ann", "deny"))
    # The state comes back decoded once more.
    assert back["error"] == "access_denied" and back["state"] == "a+b", back
    refused("by the person")
    back = parameters(site.press(f"{url}&scope=SYSTEM_ADMIN", "ann"))
    assert back["error"] == "invalid_scope", back
    refused("a scope that is not ticked")


def token_endpoint(site, app):
    def new_code():
        session = OAuth2Session(app[0], redirect_uri=CALLBACK, scope=["REPO_WRITE"])
        url, _ = session.authorization_url(f"{site.url}/rest/oauth2/latest/authorize")
        return parameters(site.press(url, "ann"))["code"]

    def ask(*options, **form):
        form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, **form}
        data = [part for pair in form.items() for part in ("--data-urlencode", "=".join(pair))]
        status, _, body = site.curl(f"{site.url}/rest/oauth2/latest/token", *data, *options)
        return status, json.loads(body).get("error")

    credentials = {"client_id": app[0], "client_secret": app[1]}
    code = new_code()
    assert ask("--user", ":".join(app), code=code) == (401, "invalid_client")
    assert ask(code=code, client_id=app[0], client_secret="wrong") == (401, "invalid_client")
    refused("client credentials by Basic, and a wrong secret")
    assert ask(code=code, **credentials) == (200, None)
    assert ask(code=code, **credentials) == (400, "invalid_grant")
    refused("a code used twice")
    code = new_code()
    site.control("clock", {"advance_s": 11})
    assert ask(code=code, **credentials) == (400, "invalid_grant")
    refused("a code older than ten seconds")


def rights(site, manage, git, urls):
    url = f"{site.url}/rest/ssh/latest/keys"
    line = site.new_key()[1]
    for answer in (git.get(url), git.post(url, json={"text": line}), git.delete(url)):
        assert answer.status_code == 403, answer.text
    assert len(site.control("keys", method="GET")) == 1
    mint = {"name": "x", "permissions": ["REPO_WRITE"]}
    tokens = f"{site.url}/rest/access-tokens/latest/users/ann"
    assert git.put(tokens, json=mint).status_code == 403
    refused("keys and minting to the token for Git")
    manager = site.with_credential(urls["https"], "x-token-auth", manage.token["access_token"])
    assert "403" in site.cannot_clone(manager)
    refused("Git to the token for keys")
    status, headers, _ = site.curl(urls["https"] + "/info/refs?service=git-upload-pack")
    assert status == 401 and headers["www-authenticate"] == 'basic realm="atlassian bitbucket"'
    refused("Git without a credential")


def rotation(site, app, session):
    old = dict(session.token)
    url = f"{site.url}/rest/oauth2/latest/token"
    credentials = {"client_id": app[0], "client_secret": app[1]}
    session.refresh_token(url, redirect_uri=CALLBACK, **credentials)
    again = requests.post(url, data={
        "grant_type": "refresh_token", "refresh_token": old["refresh_token"], **credentials})
    assert again.status_code == 400 and again.json()["error"] == "invalid_grant", again.text
    refused("a refresh token used twice")
    inbox = f"{site.url}/rest/api/latest/inbox/pull-requests/count"
    dead = requests.get(inbox, headers={"Authorization": f"Bearer {old['access_token']}"})
    assert dead.status_code == 401 and session.get(inbox).status_code == 200
    token = session.token["access_token"]
    revoke = f"{site.url}/rest/oauth2/latest/revoke"
    assert requests.post(revoke, data={"token": token, **credentials}).status_code == 200
    late = requests.get(inbox, headers={"Authorization": f"Bearer {token}"})
    assert late.status_code == 401
    done("refresh and revocation")


# OAuth 1.0a. The signature's arithmetic is that of `cryptography`; everything else is oauthlib's.


class Consumer:
    def __init__(self, site, key="forgepass"):
        self.site, self.key = site, key
        self.private = rsa.generate_private_key(65537, 2048)
        public = self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        site.control("consumers", {"key": key, "name": "A client", "public_key": public.decode()})
        self.sign_with(self.private)

    def sign_with(self, private):
        def sign(base_string, _):
            signature = private.sign(base_string.encode(), padding.PKCS1v15(), hashes.SHA1())
            return base64.b64encode(signature).decode()

        Client.register_signature_method(SIGNATURE_RSA, sign)

    def session(self, key=None, **more):
        return OAuth1Session(key or self.key, signature_method=SIGNATURE_RSA, **more)

    def oauth(self, step):
        return f"{self.site.url}/plugins/servlet/oauth/{step}"

    def allowed(self, login="ann", decision="approve"):
        """Steps one and two; gives the session that may try step three."""
        session = self.session(callback_uri=f"{CALLBACK}?state=s1")
        session.fetch_request_token(self.oauth("request-token"))
        back = self.site.press(session.authorization_url(self.oauth("authorize")), login, decision)
        assert parameters(back)["state"] == "s1", back
        session.parse_authorization_response(back)
        return session, parameters(back)

    def linked(self, login="ann"):
        session, _ = self.allowed(login)
        token = session.fetch_access_token(self.oauth("access-token"))
        assert token["oauth_expires_in"] == "157680000" and token["oauth_session_handle"], token
        return session


def problem(answer, name):
    assert answer.status_code in (400, 401), f"{answer.status_code} {answer.text}"
    assert f"oauth_problem={name}" in answer.text, answer.text
    assert f'oauth_problem="{name}"' in answer.headers["www-authenticate"], answer.headers


def run_oauth1(site):
    site.add_account("ann")
    site.add_account("bob")
    urls = site.add_repository("TEAM", "app")
    assert requests.get(f"{site.url}/rest/oauth2/1.0/client").status_code == 404
    consumer = Consumer(site)
    session = consumer.linked()
    identity(site, session)
    file, line = site.new_key()
    keys(site, session, line)
    token = minting(site, session, urls)
    site.clone_and_push(site.with_credential(urls["https"], "ann", token), "over-https")
    done("OAuth 1.0a, user, key, minting, clone and push over HTTPS")
    site.over_ssh(urls, file, site.new_key()[0])
    dance(site, consumer)
    signatures(site, consumer, session)
    minted_rights(site, session, token, urls)


def minting(site, session, urls):
    url = f"{site.url}/rest/access-tokens/latest/users/ann"
    wish = {"name": "forgepass-x", "permissions": ["PROJECT_WRITE", "REPO_WRITE"], "expiryDays": 90}
    made = session.put(url, json=wish)
    assert made.status_code == 200 and made.json()["token"], made.text
    listed = session.get(url).json()["values"]
    assert [token["name"] for token in listed] == ["forgepass-x"] and "token" not in listed[0], listed
    for bad in ({"permissions": []}, {"permissions": ["EVERYTHING"]}, {"name": ""},
                {"permissions": ["PROJECT_ADMIN", "REPO_READ"]}):
        assert session.put(url, json={**wish, **bad}).status_code == 400, bad
    site.control("knobs", {"minted_max_days": 30})
    assert session.put(url, json=wish).status_code == 400
    site.control("knobs", {"minted_max_days": None})
    refused("tokens without name or with wrong permissions or too long a life")
    others = f"{site.url}/rest/access-tokens/latest/users/bob"
    assert session.get(others).status_code == 401
    assert session.get(others + "by").status_code == 404
    refused("another person's tokens")
    spare = session.put(url, json=wish).json()
    assert session.delete(f"{url}/{spare['id']}").status_code == 204
    site.cannot_clone(site.with_credential(urls["https"], "ann", spare["token"]))
    refused("a deleted token")
    return made.json()["token"]


def dance(site, consumer):
    session, back = consumer.allowed(decision="deny")
    assert back["oauth_verifier"] == "denied", back
    token = {"oauth_token": back["oauth_token"]}
    problem(session.post(consumer.oauth("access-token")), "permission_denied")
    refused("by the person")
    session, _ = consumer.allowed()
    session.fetch_access_token(consumer.oauth("access-token"))
    session, back = consumer.allowed()
    twice = consumer.session(
        resource_owner_key=back["oauth_token"], verifier=back["oauth_verifier"])
    assert twice.post(consumer.oauth("access-token")).status_code == 200
    problem(twice.post(consumer.oauth("access-token")), "token_rejected")
    refused("a request token exchanged twice")
    _, back = consumer.allowed()
    wrong = consumer.session(resource_owner_key=back["oauth_token"], verifier="guess")
    problem(wrong.post(consumer.oauth("access-token")), "token_rejected")
    refused("a wrong verifier")
    early = consumer.session(callback_uri=CALLBACK)
    token = early.fetch_request_token(consumer.oauth("request-token"))["oauth_token"]
    early = consumer.session(resource_owner_key=token, verifier="early")
    problem(early.post(consumer.oauth("access-token")), "permission_unknown")
    refused("a request token that nobody allowed")
    site.control("clock", {"advance_s": 700})
    site.error_page(f"{consumer.oauth('authorize')}?oauth_token={token}")
    site.control("clock", {"advance_s": -700})
    refused("a request token older than ten minutes")


def signatures(site, consumer, session):
    url = f"{site.url}/rest/api/latest/users?filter=ann&start=0"
    assert session.get(url).status_code == 200
    unknown = consumer.session("nobody", callback_uri=CALLBACK)
    problem(unknown.post(consumer.oauth("request-token")), "consumer_key_unknown")
    refused("an unknown consumer")
    consumer.sign_with(rsa.generate_private_key(65537, 2048))
    problem(session.get(url), "signature_invalid")
    consumer.sign_with(consumer.private)
    refused("a signature by another key")
    signed, headers, _ = session._client.client.sign(url)
    problem(requests.get(url + "&limit=1", headers=headers), "signature_invalid")
    refused("a signature over another URL")
    assert requests.get(url, headers=headers).status_code == 200
    problem(requests.get(url, headers=headers), "nonce_used")
    refused("a request sent twice")
    site.control("clock", {"advance_s": 301})
    problem(session.get(url), "timestamp_refused")
    site.control("clock", {"advance_s": -301})
    refused("a timestamp five minutes off")
    hmac = OAuth1Session(consumer.key, "secret", callback_uri=CALLBACK)
    problem(hmac.post(consumer.oauth("request-token")), "signature_method_rejected")
    refused("HMAC")
    other = consumer.session(resource_owner_key="never issued")
    problem(other.get(url), "token_rejected")
    refused("an unknown access token")


def minted_rights(site, session, token, urls):
    bearer = {"Authorization": f"Bearer {token}"}
    refs = urls["https"] + "/info/refs?service=git-upload-pack"
    assert requests.get(refs, headers=bearer).status_code == 200
    site.cannot_clone(site.with_credential(urls["https"], "bob", token))
    refused("a minted token under another name")
    assert session.get(refs).status_code == 401
    owner = session._client.client.resource_owner_key
    site.cannot_clone(site.with_credential(urls["https"], "ann", owner))
    refused("Git by the token of 1.0a")
    keys_url = f"{site.url}/rest/ssh/1.0/keys"
    line = site.new_key()[1]
    assert requests.post(keys_url, json={"text": line}, headers=bearer).status_code == 403
    tokens = f"{site.url}/rest/access-tokens/latest/users/ann"
    assert requests.get(tokens, headers=bearer).status_code == 403
    refused("keys and tokens to a minted token")
    assert session.post(keys_url, json={"text": line}).status_code == 201
    assert session.delete(keys_url).status_code == 204
    assert session.get(keys_url).json()["size"] == 0
    done("deletion of all keys, which is what a missing number means")
    site.control("tokens/revoke", {"login": "ann"})
    problem(session.get(f"{site.url}/rest/api/latest/users/ann"), "token_rejected")
    site.cannot_clone(site.with_credential(urls["https"], "ann", token))
    refused("everything after its owner revoked it")
