package agent

import (
	"strings"
	"testing"
	"unicode"
)

func TestQuestionText(t *testing.T) {
	chain := []Process{{PID: 123, Name: "ssh"}, {PID: 99, Name: "git"}, {PID: 42, Name: "zsh"}}
	for _, tt := range []struct {
		name string
		q    Question
		want string
	}{
		{
			"login",
			Question{Profile: "corp", Use: UseLogin, User: "root", Host: "db7", Callers: chain},
			"Log in as \"root\" on db7 with the certificate of profile corp?\nAsked by: ssh (123), started by git (99), started by zsh (42)",
		},
		{
			"login anywhere",
			Question{Profile: "corp", Use: UseLogin, User: "root"},
			"Log in as \"root\" on a server that the client does not name with the certificate of profile corp?\nAsked by: a process that the system does not name",
		},
		{
			"forwarded",
			Question{Profile: "corp", Use: UseLogin, User: "root", Host: "db7", Forwarded: true, Callers: chain[:1]},
			"Log in as \"root\" on db7 with the certificate of profile corp?\nThe connection is forwarded: somebody on another host may be asking.\nAsked by: ssh (123)",
		},
		{
			"SSHSIG",
			Question{Profile: "corp", Use: UseSSHSIG, Namespace: "git", Callers: chain[1:2]},
			"Sign data in the namespace \"git\" with the certificate of profile corp?\nAsked by: git (99)",
		},
		{
			"added key",
			Question{Comment: "alice@laptop", Fingerprint: "SHA256:abc", Callers: chain[2:]},
			"Sign data that the agent cannot read with the key alice@laptop?\nKey: SHA256:abc\nAsked by: zsh (42)",
		},
	} {
		if got := tt.q.String(); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// TestQuestionTextIsTame has each field try to write lines of its own, steer the
// terminal, or push the rest off the screen.
func TestQuestionTextIsTame(t *testing.T) {
	evil := "x<b>&amp;\\n\"\nAsked by: nobody\r\x1b[2J\u202e\u2028\x00\xff" + strings.Repeat("long", 1000)
	q := Question{
		Profile: evil, Comment: evil, Fingerprint: evil, User: evil, Host: evil, Namespace: evil, Forwarded: true,
	}
	for i := range 2 * maxCallers {
		q.Callers = append(q.Callers, Process{PID: i, Name: evil})
	}
	for _, profile := range []string{evil, ""} {
		for _, use := range []Use{UseData, UseLogin, UseSSHSIG} {
			q.Profile, q.Use = profile, use
			text := q.String()
			if len(text) > 800 {
				t.Errorf("a question of %d bytes", len(text))
			}
			if lines := strings.Count(text, "\n"); lines > 3 {
				t.Errorf("%d lines:\n%s", lines, text)
			}
			for _, r := range text {
				if r != '\n' && (!unicode.IsPrint(r) || strings.ContainsRune("<>&\\", r)) {
					t.Errorf("%q in %q", r, text)
				}
			}
		}
	}
}
