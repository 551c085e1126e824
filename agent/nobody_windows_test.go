package agent

import "os/exec"

func becomeNobody(*exec.Cmd) {}
