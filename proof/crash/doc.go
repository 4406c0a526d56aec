// Package crash is the crash matrix. Its tests run every path a command can
// take, against the real journal on a real server, the real broker and every
// adapter in front of its simulator, and break each numbered step of
// input or output once in every way it can break: the consumer dies before it or
// after it, the request or the answer is lost, a call runs late, the consumer
// sleeps and wakes when all is over. Then what was in hand is delivered again,
// everything is followed to its end, and the simulators' own ledgers judge.
//
// The steps are found by running, not listed: whatever the service does to the
// outside passes a numbered tap, each tap spells the whole interface out, and a
// step that appears in a path tomorrow is broken tomorrow.
//
// # What is real and what is not
//
// Real: handlers, the operator's desk, journal, quarantine, the broker's consumer
// with its order of journal, timer and acknowledgement, the five streams on one embedded server,
// the adapters, and HTTP to the simulators. Commands are published to their
// stream, timers lie in theirs.
//
// Stood in for: the server's two durable consumers (deliveries,
// acknowledgements and redeliveries are the harness's, so that they happen when
// a cell wants them) and its firing of schedules (when its time has come on the
// matrix's own clock, the newest schedule on a subject is taken out of the stream
// and delivered). That the server itself does both is tested in package broker.
//
// # What counts as a violation
//
//   - money moved twice, or a result that the ledger does not bear out: a
//     succeeded that moved nothing, a failed or rejected that did, another amount;
//   - an operation with two terminal results, or with none that is not before a
//     person; one before a person although its provider can tell;
//   - a ruling without its audit event before it, or one that made two events; a
//     desk that says otherwise than it did;
//   - an answer forgotten by a consumer that lived on;
//   - at any moment with nothing in hand, a command that is neither answered nor
//     has a timer or an unacknowledged message;
//   - a call that an operator asked for, and that is looked at only hours later;
//   - deferred or failed while an attempt is in doubt;
//   - a call without a started event of its own, or a second call of what is
//     unsafe to repeat, unless the first certainly did nothing;
//   - a refused message that is not answered and kept, or a message answered
//     that is none;
//   - anything in the streams that no cell accounts for.
//
// An operator who has typed the amount out may have paid twice: then money moves
// once more for each such call, and a later no speaks of the calls since.
//
// # Operators
//
// On the paths named "ruled" a person is needed, because the provider answers no
// question once it was called. The operator looks at the simulator's ledger,
// and rules what it says, or has the call repeated. Without an answer they give
// the same ruling again; once more after they were heard, and again when another
// thing is before them, which must be refused. Only the steps from their first
// look on are broken: other paths come that far.
//
// # Running it
//
//	go test ./proof/crash          a sample: each path, and for each provider each kind of
//	                               step broken in each way; 10 seconds of processor time
//	go test ./proof/crash -every   every step broken in every way: 2 minutes
//	go test ./proof/crash -v       a line for every cell
//	go test ./proof/crash -run 'NoStep/matrix/opay-eg/.*/succeeds' -timeout 1h -pairs
//
// The sample is the same in each run; CI runs all of it. The last line also
// breaks a second step after the first, in paths of nine steps at most: some
// thousand cells for each path.
package crash
