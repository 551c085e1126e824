"""Logs in with what the agent has, and with nothing else."""

import asyncio
import os

import asyncssh


async def main():
    async with asyncssh.connect(
        "127.0.0.1",
        int(os.environ["SSHPORT"]),
        username=os.environ["USER"],
        known_hosts=None,
        client_keys=None,
        agent_path=os.environ["SSH_AUTH_SOCK"],
        config=None,
    ) as connection:
        print((await connection.run("echo LOGIN_OK")).stdout)


asyncio.run(main())
