package integrity

// Record is what is kept in the bucket and in the witness: how far the streams
// have come, and in which epoch the service works. The zero value is one that
// was never written.
type Record struct {
	Mark  Mark  `json:"mark"`
	Epoch Epoch `json:"epoch"`
}

// Zero reports whether nothing was ever recorded.
func (r Record) Zero() bool { return r.Mark.Zero() && r.Epoch == Epoch{} }

// Merge returns what two records know together.
func (r Record) Merge(o Record) Record {
	return Record{Mark: r.Mark.Merge(o.Mark), Epoch: r.Epoch.Later(o.Epoch)}
}

// Covers reports whether storing o where r is stored would add nothing.
func (r Record) Covers(o Record) bool {
	return r.Mark.Covers(o.Mark) && r.Epoch.Later(o.Epoch) == r.Epoch
}
