// Package console is the operator's desk in a browser: what happens, what needs
// a person, one payment's story, and the form that settles what no machine can.
// It is plain server-rendered HTML; every script and style is embedded, and the
// pages forbid the browser to load anything else.
//
// It guarantees that nobody reads without a viewer's name and that nobody
// decides without an operator's (Access says who has which), that another site
// cannot act through a visitor's browser, and that a page left open does not
// keep its session alive. It decides nothing about payments: what is possible,
// what is audited and what is refused is the desk's, the same for the command
// line and for this package.
package console
