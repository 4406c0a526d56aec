// Package providertest is the suite every provider adapter passes against its
// own simulator. Run proves, for each operation the kind supports:
//
//   - one call sends at most one request that can move money, whatever answers;
//   - an answer that does not say so is never a success, a failure or a pending;
//   - a lost answer is indeterminate, and a query afterwards never calls it failed;
//   - nothing is sent after its time, nor over a connection that was refused;
//   - what the outcomes say moved is what the simulator's ledger says moved;
//   - no credential shows in outcomes, errors, logs or recorded calls.
//
// It leaves to each adapter's own tests what a body means: codes, statuses and
// amounts in the provider's form. What the core does with an outcome is proven
// in package payment.
package providertest
