// Command sshmint-ca turns X.509 certificates into short-lived OpenSSH user
// certificates. See docs/ca.md.
package main

import "os"

func main() {
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}
