// Package books fetches what package reconcile compares: operations from the
// journal, answers from a provider, rows from a statement. Everything that grows
// with their number lies in sorted files and not in memory.
package books
