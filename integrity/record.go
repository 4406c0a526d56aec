package integrity

// Record is what is kept in the bucket and in the witness: how far the streams
// have come, and in which epoch the service works. The zero value is one that
// was never written.
type Record struct {
	// Bucket tells one bucket from another: a random text, drawn when the record is
	// first stored in a bucket. Sequences do not, since a bucket that was made anew
	// soon holds as many messages as the one before.
	Bucket string `json:"bucket,omitempty"`
	Mark   Mark   `json:"mark"`
	Epoch  Epoch  `json:"epoch"`
	// Witnessed: a witness has held a record once. One that holds nothing since then
	// was lost.
	Witnessed bool `json:"witnessed,omitempty"`
}

// Zero reports whether nothing was ever recorded.
func (r Record) Zero() bool { return r.Mark.Zero() && r.Epoch == Epoch{} }

// Merge returns what two records know together.
// Its bucket is the one of r, if r names one.
func (r Record) Merge(o Record) Record {
	out := Record{Bucket: r.Bucket, Mark: r.Mark.Merge(o.Mark), Epoch: r.Epoch.Later(o.Epoch), Witnessed: r.Witnessed || o.Witnessed}
	if out.Bucket == "" {
		out.Bucket = o.Bucket
	}
	return out
}

// Covers reports whether storing o where r is stored would add nothing.
func (r Record) Covers(o Record) bool { return r.Reaches(o) && r.Mark.Covers(o.Mark) }

// Reaches reports whether r knows no less than o of how far everything has come.
func (r Record) Reaches(o Record) bool {
	return r.Mark.Reaches(o.Mark) && r.Epoch.Later(o.Epoch) == r.Epoch && (r.Witnessed || !o.Witnessed)
}
