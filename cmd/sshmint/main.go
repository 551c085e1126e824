// Command sshmint is an ssh-agent that exchanges an X.509 identity for
// short-lived OpenSSH certificates.
package main

import "os"

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
