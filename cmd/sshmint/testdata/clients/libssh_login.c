/* Logs in with what the agent has, and with nothing else. */
#include <libssh/libssh.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	ssh_session session = ssh_new();
	ssh_channel channel;
	char answer[64];
	int n;

	ssh_options_set(session, SSH_OPTIONS_HOST, "127.0.0.1");
	ssh_options_set(session, SSH_OPTIONS_PORT_STR, getenv("SSHPORT"));
	ssh_options_set(session, SSH_OPTIONS_USER, getenv("USER"));
	if (ssh_connect(session) != SSH_OK || ssh_userauth_agent(session, NULL) != SSH_AUTH_SUCCESS) {
		fprintf(stderr, "%s\n", ssh_get_error(session));
		return 1;
	}
	channel = ssh_channel_new(session);
	if (ssh_channel_open_session(channel) != SSH_OK || ssh_channel_request_exec(channel, "echo LOGIN_OK") != SSH_OK)
		return 1;
	while ((n = ssh_channel_read(channel, answer, sizeof answer, 0)) > 0)
		fwrite(answer, 1, (size_t)n, stdout);
	return 0;
}
