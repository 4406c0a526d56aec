// Package simulator is the base of every simulated provider: an HTTP server's
// frame with a ledger of money moved (the judge in every test), misbehaviour
// on request, and a record of calls. The simulators beside the adapters add
// their provider's rules, authentication and wire format.
//
// It guarantees that what the ledger says is what was executed: an entry is
// written by the execution itself, never deduplicated, whatever becomes of the
// answer. It leaves to the simulated provider whether a repeat is executed.
//
// The administration paths, under the simulator's own prefix:
//
//	GET    /ledger    money moved: {"movements": […], "totals": {"EGP": 400}}
//	GET    /calls     every call seen, without headers
//	POST   /faults    a JSON list of faults to add (see Fault)
//	DELETE /faults    forget all faults
//	POST   /payments  seed one payment, in the simulator's own form
//	POST   /release   run what late faults hold back, wake what waits
package simulator
