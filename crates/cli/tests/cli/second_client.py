"""Clients of the SSH agent that are not OpenSSH: paramiko and asyncssh, each run by one word."""

import asyncio
import base64
import os
import sys

import asyncssh
import paramiko


def paramiko_lists():
    for key in paramiko.Agent().get_keys():
        print(key.get_name(), key.get_base64(), key.comment)


def paramiko_signs(algorithm):
    """Signs with the first key and checks the signature with the public half alone."""
    key = paramiko.Agent().get_keys()[0]
    signature = key.sign_ssh_data(b"a request", algorithm)
    message = paramiko.Message(signature)
    print(message.get_text())
    public = paramiko.RSAKey(data=base64.b64decode(key.get_base64()))
    assert public.verify_ssh_sig(b"a request", paramiko.Message(signature))


def paramiko_fetches(host, port, command):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(host, port=int(port), username="git", look_for_keys=False)
    _, out, _ = client.exec_command(command)
    print(out.read(200).decode())
    client.close()


async def asyncssh_fetches(host, port, command):
    connection = await asyncssh.connect(
        host,
        port=int(port),
        username="git",
        known_hosts=None,
        agent_path=os.environ["SSH_AUTH_SOCK"],
        config=None,
    )
    async with connection:
        process = await connection.create_process(command, encoding=None)
        print((await process.stdout.read(200)).decode())


def asyncssh_lists():
    async def list_keys():
        async with await asyncssh.connect_agent(os.environ["SSH_AUTH_SOCK"]) as agent:
            for key in await agent.get_keys():
                print(key.algorithm.decode(), key.get_comment())

    asyncio.run(list_keys())


if __name__ == "__main__":
    word, rest = sys.argv[1], sys.argv[2:]
    if word == "asyncssh_fetches":
        asyncio.run(asyncssh_fetches(*rest))
    else:
        globals()[word](*rest)
