// Package importrules holds the test of which package may import which.
//
// The rules keep each part readable, testable and reusable alone, and keep what is dangerous or heavy
// (CGo, the X.509 key, a policy language, databases) out of programs that have no business with it. They
// are checked on the import graph of every system that is supported, because files chosen by GOOS import
// different things. The linter says the same earlier, file by file; the graph also sees what is reached
// through others.
package importrules
