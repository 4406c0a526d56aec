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
	// Pauses are the newest decisions about each provider that the bucket has shown. A
	// release that does not know them writes the record without: their absence says
	// nothing.
	Pauses Decisions `json:"pauses,omitempty"`
}

// Zero reports whether nothing was ever recorded.
func (r Record) Zero() bool { return r.Mark.Zero() && r.Epoch == Epoch{} }

// Merge returns what two records know together.
// Its bucket is the one of r, if r names one.
func (r Record) Merge(o Record) Record {
	out := Record{
		Bucket: r.Bucket, Mark: r.Mark.Merge(o.Mark), Epoch: r.Epoch.Later(o.Epoch), Witnessed: r.Witnessed || o.Witnessed,
		Pauses: r.Pauses.Merge(o.Pauses),
	}
	if out.Bucket == "" {
		out.Bucket = o.Bucket
	}
	return out
}

// Covers reports whether storing o where r is stored would add nothing.
func (r Record) Covers(o Record) bool {
	return r.Reaches(o) && r.Mark.Covers(o.Mark) && r.Pauses.Covers(o.Pauses)
}

// Reaches reports whether r knows no less than o of how far everything has come. What
// else a record knows does not count: a version that does not know of it stores the
// record without it, and has set nothing back.
func (r Record) Reaches(o Record) bool {
	return r.Mark.Reaches(o.Mark) && r.Epoch.Later(o.Epoch) == r.Epoch && (r.Witnessed || !o.Witnessed)
}

// JudgeWitness compares what the witness holds with what the bucket knows of it. A
// witness that holds nothing although it once did was lost: nobody who begins now can
// tell what the journal has lost with it.
func JudgeWitness(bucket, witness Record) []Finding {
	if !bucket.Witnessed || !witness.Zero() {
		return nil
	}
	return []Finding{{
		Kind: WitnessLost, Object: "witness",
		Text: "the witness holds nothing, although it once did: restore it, or accept that it is lost (consumer journal accept)",
	}}
}
