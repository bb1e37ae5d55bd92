"""A stand-in as its scenarios see it: control API, browser, curl, git and ssh."""

import html.parser
import os
import subprocess
import urllib.parse

import requests

# GitHub answers scopes with commas, which oauthlib would take for a change of scope.
os.environ["OAUTHLIB_RELAX_TOKEN_SCOPE"] = "1"

CALLBACK = "https://forgepass.example.com/oauth/callback"


def done(what):
    print("done:", what, flush=True)


def refused(what):
    print("refused:", what, flush=True)


class Form(html.parser.HTMLParser):
    """The one form of a page, with what a browser would send."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields, self.options, self.decisions = None, [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.action = attributes["action"]
        if tag == "input" and (attributes["type"] != "checkbox" or "checked" in attributes):
            self.fields.append((attributes["name"], attributes["value"]))
        if tag == "option":
            self.options.append(attributes["value"])
        if tag == "button":
            self.decisions.append(attributes["value"])


class Site:
    def __init__(self, about):
        self.shape, self.url, self.api = about["shape"], about["url"], about["api_url"]
        self.ca, self.control_url = about["ca_file"], about["control_url"]
        self.ssh_host, self.ssh_port = about["ssh_address"].rsplit(":", 1)
        self.host_key = about["ssh_host_key"]
        with open("known_hosts", "w") as file:
            file.write(f"[{self.ssh_host}]:{self.ssh_port} {self.host_key}\n")
        self.keys = 0
        os.environ["REQUESTS_CA_BUNDLE"] = self.ca

    # The control API.

    def control(self, path, body=None, method="POST"):
        answer = requests.request(method, f"{self.control_url}/{path}", json=body)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    def add_account(self, login):
        return self.control("accounts", {"login": login})

    def add_app(self, **spec):
        spec = {"name": "A foreign client", "redirect_uri": CALLBACK, **spec}
        app = self.control("apps", spec)
        return app["client_id"], app["client_secret"]

    def add_repository(self, owner, name, public=False):
        return self.control("repositories", {"owner": owner, "name": name, "public": public})

    # A person with a browser.

    def press(self, url, login, decision="approve", drop=()):
        """Opens a consent page and presses a button; gives where the browser is sent."""
        browser = requests.Session()
        page = browser.get(url, allow_redirects=False)
        if page.is_redirect:
            return page.headers["location"]
        assert page.status_code == 200, f"{page.status_code} {page.text}"
        form = Form(page.text)
        assert login in form.options, form.options
        assert form.decisions == ["approve", "deny"], form.decisions
        fields = [field for field in form.fields if field[1] not in drop]
        fields += [("account", login), ("decision", decision)]
        answer = browser.post(urllib.parse.urljoin(url, form.action), fields, allow_redirects=False)
        assert answer.status_code == 302, f"{answer.status_code} {answer.text}"
        return answer.headers["location"]

    def error_page(self, url):
        """Opens a URL that must show an error page and send the browser nowhere."""
        page = requests.get(url, allow_redirects=False)
        assert page.status_code in (400, 401, 404), f"{page.status_code} {page.text}"
        return page.text

    # curl, for requests that are wrong on purpose.

    def curl(self, url, *options):
        """Runs curl; gives the status, the headers (lower case) and the body."""
        command = ["curl", "--silent", "--show-error", "--include", "--cacert", self.ca]
        output = subprocess.run([*command, *options, url], capture_output=True)
        assert output.returncode == 0, output.stderr
        # Decoded here: text mode would also turn the ends of header lines into plain newlines.
        head, _, body = output.stdout.decode().partition("\r\n\r\n")
        status, *lines = head.splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        return int(status.split()[1]), headers, body

    # git and ssh.

    def run(self, *command, **environment):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.getcwd(),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSL_CAINFO": self.ca,
            "GIT_AUTHOR_NAME": "Ann",
            "GIT_AUTHOR_EMAIL": "ann@example.com",
            "GIT_COMMITTER_NAME": "Ann",
            "GIT_COMMITTER_EMAIL": "ann@example.com",
            **environment,
        }
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def with_credential(self, url, username, password):
        login = f"{urllib.parse.quote(username)}:{urllib.parse.quote(password)}"
        return url.replace("https://", f"https://{login}@", 1)

    def clone_and_push(self, url, folder, **environment):
        """Clones, commits something over 1 MiB and pushes it; gives the output of all steps."""
        cloned = self.run("git", "clone", "--quiet", url, folder, **environment)
        assert cloned.returncode == 0, cloned.stderr
        with open(f"{folder}/large", "wb") as file:
            file.write(os.urandom(3 * 1024 * 1024))
        # Over HTTP/2, curl 7.88 at times asks Git for more of a chunked body after its end, and both wait for ever.
        chunked = ("-c", "http.version=HTTP/1.1")
        for step in (("add", "."), ("commit", "--quiet", "-m", "Large"), ("push", "--quiet")):
            result = self.run("git", *chunked, "-C", folder, *step, **environment)
            assert result.returncode == 0, f"{step}: {result.stderr}"
        # Once more as old clients do it, with smaller pieces.
        old = (*chunked, "-c", "http.postBuffer=65536")
        result = self.run("git", *old, "-C", folder, "push", "origin", "HEAD:again", **environment)
        assert result.returncode == 0, result.stderr

    def cannot_clone(self, url, **environment):
        result = self.run("git", "clone", "--quiet", url, "refused", **environment)
        assert result.returncode != 0, f"{url} could be cloned"
        return result.stderr

    def new_key(self, kind="ed25519", bits=None):
        """Makes a key pair; gives its file and its public line."""
        self.keys += 1
        file = f"{os.getcwd()}/key{self.keys}"
        bits = ["-b", str(bits)] if bits else []
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-C", f"key {self.keys}", "-f", file],
            check=True,
        )
        with open(f"{file}.pub") as public:
            return file, public.read().strip()

    def ssh_command(self, file, *options):
        return " ".join([
            "ssh", "-F", "none", "-i", file, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={os.getcwd()}/known_hosts",
            "-o", "StrictHostKeyChecking=yes", *options,
        ])

    def ssh(self, file, *rest):
        command = self.ssh_command(file).split()
        return self.run(*command, "-T", "-p", self.ssh_port, f"git@{self.ssh_host}", *rest)

    def over_ssh(self, urls, file, stranger):
        """Clones and pushes with an uploaded key; a key that nobody uploaded gets nothing."""
        self.clone_and_push(urls["ssh"], "over-ssh", GIT_SSH_COMMAND=self.ssh_command(file))
        done("clone and push over SSH with the uploaded key")
        text = self.cannot_clone(urls["ssh"], GIT_SSH_COMMAND=self.ssh_command(stranger))
        assert "Permission denied (publickey)" in text, text
        refused("SSH with a key that is on no account")


def parameters(url):
    """The query of a URL as a plain dictionary."""
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
