//go:build unmarked

package keeper

const unmarked = true
