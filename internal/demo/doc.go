//go:build !production

// Package demo shows the service at work without anything installed: an
// embedded server on disk, simulated providers over real HTTP that misbehave
// on purpose, the service itself, and a script of commands whose stories are
// told in plain words. The simulators' own ledgers are the judge. A demo that
// was killed goes on from the same directory.
package demo
