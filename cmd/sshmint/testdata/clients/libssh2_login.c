/* Logs in with what the agent has, and with nothing else. */
#include <arpa/inet.h>
#include <libssh2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct libssh2_agent_publickey *key, *previous = NULL;
	LIBSSH2_SESSION *session;
	LIBSSH2_CHANNEL *channel;
	LIBSSH2_AGENT *agent;
	char answer[64];
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM, 0), in = 0;

	address.sin_port = htons((unsigned short)atoi(getenv("SSHPORT")));
	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	libssh2_init(0);
	session = libssh2_session_init();
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || libssh2_session_handshake(session, fd) != 0)
		return 1;
	libssh2_userauth_list(session, getenv("USER"), (unsigned int)strlen(getenv("USER")));
	agent = libssh2_agent_init(session);
	if (libssh2_agent_connect(agent) != 0 || libssh2_agent_list_identities(agent) != 0)
		return 1;
	while (!in && libssh2_agent_get_identity(agent, &key, previous) == 0) {
		in = libssh2_agent_userauth(agent, getenv("USER"), key) == 0;
		previous = key;
	}
	if (!in) {
		char *text;
		libssh2_session_last_error(session, &text, NULL, 0);
		fprintf(stderr, "%s\n", text);
		return 1;
	}
	channel = libssh2_channel_open_session(session);
	if (channel == NULL || libssh2_channel_exec(channel, "echo LOGIN_OK") != 0)
		return 1;
	while ((n = libssh2_channel_read(channel, answer, sizeof answer)) > 0)
		fwrite(answer, 1, (size_t)n, stdout);
	return 0;
}
