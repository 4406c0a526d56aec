// Package check looks at everything the service needs before it is started, or
// when it does not do what it should: configuration, connection, server,
// streams and consumers, durability, whether the journal is whole, permissions,
// provider credentials, clocks, and the work that is open. Each thing that is not as it should be is one
// Finding, which says what it is, what it should be and what to do.
//
// It changes nothing: no message is stored, delivered or acknowledged, no money
// is moved. What it cannot find out it says, as NotVerifiable, and never takes
// for good.
package check
