//go:build !unmarked

package keeper

// unmarked: no marks are kept and nothing is ever found. Only the benchmark builds
// such a program, to measure what the marks cost; no setting leads to it.
const unmarked = false
