// Package console is the operator's desk in a browser. It shows current results,
// the operations that need a person, and the story of a payment, and it has the
// form for an operator's decision. The pages are rendered on the server. Every
// script and style is embedded, and the pages forbid the browser to load others.
//
// It guarantees that only viewers read and only operators decide (Access says who
// they are), that another site cannot act through a visitor's browser, and that an
// open page does not keep its session alive. It decides nothing about payments: the
// desk knows what is possible, audits and refuses, as it does for the command line.
package console
