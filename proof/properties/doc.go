// Package properties has no code, only tests: what must hold of package payment
// for whatever input, shown with random input (rapid, which shrinks what fails),
// and its table of currencies against an independent one. The cases that can be
// listed are tested in the package itself.
//
//	go test ./proof/properties -rapid.checks 10000
package properties
