package main

import "slices"

// mutants lists the deliberate bugs, each one that somebody could write.
func mutants() []mutant {
	return slices.Concat(deciding(), concluding(), handling(), storing(), delaying(), losing(), denying(), comingBack())
}

// deciding: bugs of the rules about what is to be done.
func deciding() []mutant {
	return []mutant{
		{
			"an interrupted call is made again without asking first", "payment/decide.go",
			"	default: // started past callUntil, pending, indeterminate\n		return Decision{Action: Query}",
			"	default:\n		if started {\n			return in.start(op, nil)\n		}\n		return Decision{Action: Query}",
		},
		{
			"an attempt's number is used again", "payment/fold.go",
			"	op.Attempt++\n", "	op.Attempt = max(op.Attempt, 1)\n",
		},
		{
			"a version is used again", "payment/fold.go",
			"	s.Version++\n", "	s.Version = max(s.Version, 1)\n",
		},
		{
			"an operation in the way is overtaken", "payment/decide.go",
			"	if code := in.inTheWay(op); code != \"\" {\n		return in.wait(op, code, 0), true\n	}\n", "",
		},
		{
			"open refunds are not reserved", "payment/guard.go",
			"case o.Op == op.Op && o.KeyHash == op.KeyHash, o.Status == StatusRejected:",
			"case o.Op == op.Op && o.KeyHash == op.KeyHash, o.Status == StatusRejected, !o.Status.Terminal():",
		},
		{
			"a key used for another amount is taken for a repeat", "payment/decide.go",
			"op.Fingerprint == in.Command.Fingerprint()", "op.Op == in.Command.Op",
		},
		{
			"a lagging reading is taken for the snapshot", "payment/guard.go",
			"		known = &sum\n	}\n	return known", "		known = &sum\n	}\n	return nil",
		},
		{
			"an operator rules on what he saw before the call was over", "payment/decide.go",
			"in.Resolution.Seen.Before(op.Open.CallUntil)", "in.Now.Before(op.Open.CallUntil)",
		},
		{
			"an operator's retry forgets calls that may have left", "payment/review.go",
			"	op.Open.Doubt = in.doubtAfterRetry(op)\n", "	op.Open.Doubt = nil\n",
		},
	}
}

// concluding: bugs of the rules about what an answer means.
func concluding() []mutant {
	return []mutant{
		{
			"a timeout is read as failed", "payment/conclude.go",
			"		return in.stillInDoubt(op, appendOnce(others, n), out, answered || out.Result == Duplicate)",
			"		return in.end(op, StatusFailed, out)",
		},
		{
			"a refusal of a repeat is read as the operation's answer", "payment/conclude.go",
			"	case out.Result == Failed && len(others) == 0:\n		op.Attempt = n",
			"	case out.Result == Failed && len(others) == 0, out.Result == Duplicate:\n		op.Attempt = n",
		},
		{
			"a duplicate is read as success", "payment/conclude.go",
			"	case out.Result == Succeeded:\n		op.Attempt = n",
			"	case out.Result == Succeeded, out.Result == Duplicate:\n		op.Attempt = n",
		},
		{
			"failed ends an operation whose other attempt may have left", "payment/conclude.go",
			"case out.Result == Failed && len(others) == 0:", "case out.Result == Failed:",
		},
		{
			"deferred is written while in doubt", "payment/conclude.go",
			"case out.Result == NotExecuted && len(others) == 0:", "case out.Result == NotExecuted:",
		},
		{
			"accepted is read as done", "payment/conclude.go",
			"	case out.Result == Pending && op.Status != StatusPending:\n		return in.pending(op, out)",
			"	case out.Result == Pending && op.Status != StatusPending:\n		return in.end(op, StatusSucceeded, out)",
		},
		{
			"not found is read as not executed", "payment/conclude.go",
			"	case unsafe && overdue:\n		return in.review(",
			"	case !in.Now.Before(o.DoubtSince):\n		return in.end(op, StatusFailed, out)\n	case unsafe && overdue:\n		return in.review(",
		},
		{
			"an operation in doubt is given up by time", "payment/conclude.go",
			"	case unsafe && overdue:\n		return in.review(",
			"	case overdue:\n		return in.end(op, StatusFailed, Outcome{Code: CodeProviderUnavailable})\n	case unsafe && overdue:\n		return in.review(",
		},
		{
			"a partial refund in doubt is sent again where a repeat is unsafe", "payment/conclude.go",
			"	unsafe := !in.Traits.For(op.Op, op.Full).Repeat.repeatable()\n	overdue",
			"	unsafe := false\n	overdue",
		},
		{
			"a late look believes what it infers", "payment/conclude.go",
			"(op.Status == StatusSucceeded || out.Basis == BasisInferred):", "op.Status == StatusSucceeded:",
		},
		{
			"a fact is told each time it is seen", "payment/conclude.go",
			"	if op.Contradicted {\n		return Decision{Action: Finish, Alert: alert}\n	}\n", "",
		},
	}
}

// handling: bugs of the use case.
func handling() []mutant {
	return []mutant{
		{
			"the provider is called before its started is accepted", "handlers/work.go",
			"	s, err = w.commit(ctx, s, dec)",
			"	if dec.Action == payment.Call {\n		w.call(ctx, s.journal.last.Sequence, dec.Event)\n	}\n	s, err = w.commit(ctx, s, dec)",
		},
		{
			"an append of unknown fate is taken for accepted", "handlers/work.go",
			"	if err != nil {\n		return s, err\n	}\n	w.alert(dec)",
			"	if err != nil && !errors.Is(err, journal.ErrUnknown) {\n		return s, err\n	}\n	w.alert(dec)",
		},
		{
			"a conflict is taken for accepted", "handlers/work.go",
			"		return w.moved(s, conflict.Last), err", "		return w.moved(s, conflict.Last), nil",
		},
		{
			"a known outcome is dropped on conflict", "handlers/work.go",
			"	if s.outcome != nil && s.outcome.Query &&", "	if s.outcome != nil || s.outcome.Query &&",
		},
		{
			"a call is sent after its callUntil", "handlers/call.go",
			"	r.SendBefore = started.CallUntil\n", "",
		},
		{
			"what waits is acknowledged without a timer", "handlers/work.go",
			"		end.Timer.Paused = dec.Action == payment.ComeBack && dec.Code == payment.CodePaused\n		return s.ends(end)",
			"		_ = end\n		return s.ends(Disposition{Kind: Ack})",
		},
		{
			"a panic in an adapter is taken for not executed", "handlers/call.go",
			"			out = payment.Outcome{Code: payment.CodeInternalError,",
			"			out = payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeInternalError,",
		},
		{
			"a rejection is said before its bytes are kept", "handlers/reject.go",
			"	if err := h.quarantine.Keep(ctx, Original{Rejection: r, Message: published}); err != nil {",
			"	if err := h.journal.AppendRejection(ctx, r); err == nil {\n		return Disposition{Kind: Terminate}\n	}\n	if err := h.quarantine.Keep(ctx, Original{Rejection: r, Message: published}); err != nil {",
		},
		{
			"an operator's stale view is obeyed", "handlers/resolve.go",
			"	if last.State.Version != r.Version {", "	if last.State.Version == 0 {",
		},
	}
}

// storing: bugs of names, journal and broker.
func storing() []mutant {
	return []mutant{
		{
			"the journal's filter leaves the provider out", "events/subjects.go",
			`return "payment.*.*." + id.Provider + "." + Token(id.Native) + ".*", nil`,
			`return "payment.*.*.*." + Token(id.Native) + ".*", nil`,
		},
		{
			"a timer's subject leaves operation and content out", "events/subjects.go",
			"	h.Write([]byte(c.Fingerprint()))\n" +
				"	// The provider goes through Token as well: it leaves every valid name as it\n" +
				"	// is, and keeps an invalid one from adding levels to the subject.\n" +
				"	return schedulePrefix + Token(string(c.Op))",
			"	return schedulePrefix + \"any\"",
		},
		{
			"a timer's subject leaves the content out", "events/subjects.go",
			"	h.Write([]byte(c.Fingerprint()))\n	// The provider", "	// The provider",
		},
		{
			"whose append it is, is judged by its subject and not by its token (in memory)", "journal/memory/memory.go",
			"	case accepted || stored.token == e.token:", "	case accepted || stored.subject == e.subject:",
		},
		{
			"whose append it is, is judged by its id and not by its token (in the stream)", "journal/stream/append.go",
			"if m.Sequence != 0 && m.Token() == a.token {", "if m.Sequence != 0 && m.Message.Subject == a.msg.Subject {",
		},
		{
			"a message is acknowledged before its timer is stored", "broker/carryout.go",
			"		if !c.schedule(ctx, m, d.Timer) {", "		_ = m.settle(sayAck)\n		if !c.schedule(ctx, m, d.Timer) {",
		},
	}
}

// delaying: bugs that cost time alone. Nothing moves twice and nothing is lost,
// so that simulation and matrix have nothing to notice.
func delaying() []mutant {
	return []mutant{
		{
			"a requery asks before its timer is brought forward", "handlers/requery.go",
			"	if err := w.soon(ctx, last, timers); err != nil {\n		return out, err\n	}\n", "",
		},
		{
			"the state's own time is taken for the timer's", "handlers/requery.go",
			"	if due.After(now) && !due.After(at) {", "	if !due.After(at) {",
		},
	}
}

// denying: bugs about a payment that a provider denies. The first costs calls alone.
func denying() []mutant {
	return []mutant{
		{
			"an answer that nobody understands is asked for again and again", "payment/conclude.go",
			"out, answered || out.Result == Duplicate)",
			"out, out.Result == Duplicate)",
		},
		{
			"a repeat that was refused is repeated again", "payment/conclude.go",
			"	op.Open.Refused = op.Open.Refused || refused\n", "",
		},
		{
			"no such payment, to a repeat, is taken for the end", "payment/conclude.go",
			"case out.Result == Failed && len(others) == 0:", "case out.Result == Failed && (len(others) == 0 || out.Code == CodePaymentNotFound):",
		},
	}
}

// comingBack: bugs about timers that the simulation has no chance to notice: it keeps
// no bytes, and nobody in it trusts a journal too early.
func comingBack() []mutant {
	return []mutant{
		{
			"what was rejected late is quarantined as its timer's copy", "handlers/reject.go",
			"	case !found, DigestOf(p.Message.Data) != d.Original:", "	case !found, found:",
		},
		{
			"a timer that is not like its command is carried out", "handlers/provenance.go",
			"	return names(w.base.Command, c)\n", "	return c.Key != \"\"\n",
		},
		{
			"a timer whose command is gone is called", "handlers/provenance.go",
			"	case !found:\n		return lost, nil\n", "	case !found:\n		return genuine, nil\n",
		},
		{
			"what an accepted loss took is called once the journal is trusted again", "handlers/loss.go",
			"	if loss != nil || w.h.losses == nil ||", "	if true || w.h.losses == nil ||",
		},
		{
			"a timer that nobody could read the journal for forgets what it knew", "handlers/contradiction.go",
			"		return w.d.Recorded\n	}\n	return view", "		return payment.Recorded{}\n	}\n	return view",
		},
	}
}

// losing: bugs of what is done about a journal that has lost something. Some are
// so rare in the simulation that the test of the table has to catch them. Those in
// the model stand for what package integrity/keeper does over a network.
func losing() []mutant { return slices.Concat(doubting(), contradicting()) }

// contradicting: bugs about timers that know more than the journal.
func contradicting() []mutant {
	return []mutant{
		{
			"a timer that knows as much as the journal contradicts it", "payment/recorded.go",
			"	case r.Version > s.Version:", "	case r.Version >= s.Version:",
		},
		{
			"a timer that knows one version more does not contradict the journal", "payment/recorded.go",
			"	case r.Version > s.Version:", "	case r.Version > s.Version+1:",
		},
		{
			"a timer of an operation that was never recorded contradicts the journal", "payment/recorded.go",
			"	case r.Operation > newest:", "	case r.Operation > newest, i < 0:",
		},
		{
			"a timer that knew a loss before it was accepted contradicts the journal", "payment/recorded.go",
			"	earlier := r.Epoch < epoch", "	earlier := false && r.Epoch < epoch",
		},
		{
			"a timer says what its process hopes to append", "handlers/contradiction.go",
			"	if view.basis != seen || w.instance.Provider == nil {\n		return w.d.Recorded\n	}\n",
			"	if view.basis != seen || w.instance.Provider == nil {\n		return w.d.Recorded\n	}\n	view.last.State.Version++\n",
		},
		{
			"a timer that contradicts the journal is carried out all the same", "handlers/contradiction.go",
			"	if w.h.losses == nil || !w.d.Timer ||", "	if w.h.losses != nil || !w.d.Timer ||",
		},
	}
}

// doubting: bugs about what the journal no longer knows.
func doubting() []mutant {
	return []mutant{
		{
			"an operation that the journal lost is called again once it is not found", "payment/conclude.go",
			"	case o.Presumed:\n		return in.presumedNotFound(op, out)\n", "",
		},
		{
			"a waiting operation from before a loss is trusted", "payment/loss.go",
			"	case StatusDeferred:\n		return true\n", "	case StatusDeferred:\n		return false\n",
		},
		{
			"the no of a known attempt clears the doubt about lost ones", "payment/loss.go",
			"	case StatusStarted, StatusIndeterminate:\n		return !slices.Contains(op.Open.Doubt, lostAttempt)\n", "",
		},
		{
			"a new operation after a loss is neither guarded nor prepared", "payment/loss.go",
			"	if d, done := in.beforeCall(op); done {\n		return d\n	}\n	return in.startNewer(op)", "	return in.start(op, in.Reading)",
		},
		{
			"a lost operation is settled by a movement of its amount", "payment/loss.go",
			"	return in.Loss != nil || slices.Contains(op.Open.Doubt, lostAttempt)", "	return false",
		},
		{
			"what a guard refuses after a loss is rejected", "payment/loss.go",
			"	if in.Loss != nil {\n		return in.inReview(op, orCode(out.Code, CodeJournalIncomplete))\n	}\n", "",
		},
		{
			"an operation whose record vanished is taken for new", "payment/loss.go",
			"	if !h.Query {\n		return in.concludeVanished(h)\n	}\n", "	if !h.Query {\n		return in.decideNew()\n	}\n",
		},
		{
			"a repeat goes out beside an operation that may be lost", "payment/loss.go",
			"			return true\n		}\n	}\n	return false\n}\n\n// aged", "			return false\n		}\n	}\n	return false\n}\n\n// aged",
		},
		{
			"an old command counts as newer than the loss", "handlers/loss.go",
			"Newer: d.OriginTime.After(at.Add(newerBy))", "Newer: true",
		},
		{
			"a journal that ends at its mark counts as shorter", "integrity/finding.go",
			"	case j.Last < m.Journal.Sequence:", "	case j.Last <= m.Journal.Sequence && j.Last > 0:",
		},
		{
			"one lost event is no loss", "integrity/finding.go",
			"	case j.Last < m.Journal.Sequence:", "	case j.Last+1 < m.Journal.Sequence:",
		},
		{
			"the mark's token is not compared", "integrity/finding.go",
			"j.AtMark != m.Journal:", "j.AtMark.Sequence != m.Journal.Sequence:",
		},
		{
			"a call whose repeat is unsafe does not wait for mark and reading (in the model)", "proof/simulation/shut.go",
			"	case unsafe && !t.sure(), !x.p.open():", "	case unsafe && t.dead, !x.p.open():",
		},
		{
			"a process forgets bucket and witness (in the model)", "proof/simulation/keeping.go",
			"[]integrity.Mark{p.record.Mark, w.stored().Mark, w.witness.Mark}", "[]integrity.Mark{p.record.Mark}[:min(1, len(w.bucket)+1)]",
		},
		{
			"an event is appended while the journal is broken (in the model)", "proof/simulation/shut.go",
			"	if p.open() {\n		return nil\n	}\n", "	if p.open() || p.watch.Standing == 3 {\n		return nil\n	}\n",
		},
		{
			"a process whose epoch is behind appends (in the model)", "proof/simulation/shut.go",
			"	if p.record.Epoch.Number < w.newestEpoch().Number {", "	if false {",
		},
	}
}
