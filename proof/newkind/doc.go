// Package newkind adds a throw-away provider kind to a copy of the repository
// by following docs/adding-a-provider.md, and runs the proofs there. It shows
// that the page names every place to edit. It leaves open whether a real kind's
// adapter is right: the conformance suite says that.
package newkind
