// Package e2e holds the tests that run the whole service: a real server on
// disk, the real consumer, journal and adapters, put together as the program
// does it, and the simulated providers over real HTTP. Their own ledgers are
// the judge. It has no code of its own; what a single package can show is
// tested there.
package e2e
