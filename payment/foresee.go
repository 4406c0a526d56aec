package payment

// Foresee says why the service would refuse a command, for those who look before they
// publish. Command is completed (Traits.Complete), and State is the payment's, or the zero
// State where that is not known. A repeat is not refused. What the provider would say, and
// what waits, is not foreseen.
func Foresee(in Input) []Fault {
	if i := in.State.Find(in.Command.Op, in.Command.Key); i >= 0 {
		if in.State.Operations[i].Fingerprint == in.Command.Fingerprint() {
			return nil
		}
		return []Fault{{Pointer: "/idempotencyKey", Rule: string(CodeIdempotencyKeyReused)}}
	}
	if code := in.guard(in.newOperation()); code != "" {
		return []Fault{{Rule: string(code)}}
	}
	return nil
}
