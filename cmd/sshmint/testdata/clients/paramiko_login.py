"""Logs in with what the agent has, and with nothing else."""

import os

import paramiko

client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", int(os.environ["SSHPORT"]), os.environ["USER"], allow_agent=True, look_for_keys=False)
print(client.exec_command("echo LOGIN_OK")[1].read().decode())
client.close()
