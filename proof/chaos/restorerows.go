//go:build unix

package main

import (
	"context"
	"time"
)

// lossRow is one way in which the journal loses what it knew.
type lossRow struct {
	name, title string
	// nodes and consumers are how many servers and processes there are; 0: one.
	nodes, consumers int
	// witness: the mark is kept in a file outside of the servers' files.
	witness bool
	// repeats: order services send their commands again before anybody has noticed.
	repeats bool
	// load: commands come in while the journal is lost.
	load bool
	// commands: commands are lost that no end shows, and somebody has to notice that.
	commands bool
	// held: every provider is paused, and the refunds wait.
	held bool
	// slow is how long the provider takes to answer at the loss; 0: no time.
	slow time.Duration
	// archive: an archive of the journal was made shortly before the loss.
	archive bool
	// onRequest: it is played only where it is named.
	onRequest bool
	// toTheEnd: operators rule on what a person must decide, and trust the journal.
	toTheEnd bool
	// from is what the time to notice it is counted from.
	from lossFrom
	// before is done between what the copy has and what is lost; nil: nothing.
	before func(context.Context, *lossPlay) error
	// lose loses it. It returns once the loss is complete, and sets when it was.
	lose func(context.Context, *lossPlay) error
	// mend is the step of the page before the acceptance; nil: there is none.
	mend func(context.Context, *lossPlay) error
}

// lossFrom is what the time to notice a loss is counted from.
type lossFrom string

// The first append that the service makes after the loss; the start of a process;
// the election of a leader.
const (
	fromAppend lossFrom = "first append"
	fromStart  lossFrom = "start"
	fromLeader lossFrom = "new leader"
)

// lossRows are the rows, in the order in which they are printed.
func lossRows() []lossRow {
	return []lossRow{
		{
			name: "whole", title: "whole store restored to an older copy, commands repeated",
			consumers: 2, repeats: true, from: fromAppend, before: copyAll, lose: restoreAll,
		},
		{
			name: "older", title: "only the journal older, durables made anew, no repeat",
			consumers: 2, from: fromStart, before: copyAll, lose: restoreJournal,
		},
		{
			name: "commands", title: "commands gone before their age, then the journal older, followed to its end",
			consumers: 2, repeats: true, from: fromStart, before: copyAll, lose: loseCommands, commands: true, toTheEnd: true,
		},
		{
			name: "gone", title: "journal stream gone, provisioned, repeats",
			consumers: 2, repeats: true, from: fromAppend, lose: dropJournal,
		},
		{
			name: "runbook", title: "whole store restored, the page followed to its end",
			consumers: 2, repeats: true, from: fromAppend, before: copyAll, lose: restoreAll, archive: true, toTheEnd: true,
		},
		{
			name: "load", title: "journal deleted under load, provisioned 4 s later, nobody repeats",
			consumers: 2, load: true, from: fromAppend, lose: dropJournalForAWhile,
		},
		{
			name: "pauses", title: "pause bucket deleted, provisioned, refunds were held",
			consumers: 2, held: true, from: fromAppend, lose: dropBucket,
		},
		{
			name: "vanished", title: "a process knows that money moved, the operation has vanished",
			consumers: 2, slow: 3 * time.Second, from: fromAppend, lose: dropJournal,
		},
		{
			name: "witness", title: "whole store restored while nothing runs, a file as witness",
			witness: true, repeats: true, from: fromStart, before: copyAll, lose: restoreAllAtRest,
		},
		{
			name: "leader", title: "three replicas, a damaged one leads",
			nodes: 3, consumers: 2, repeats: true, from: fromLeader, before: fillBlock, lose: damagedLeads, mend: leadAnother,
		},
		{
			name: "majority", title: "three replicas, two set back while the third is away",
			// After all servers were away together the cluster itself does not always come to rest.
			onRequest: true, nodes: 3, consumers: 2, repeats: true, from: fromLeader, before: copyAll, lose: setBackTwo,
		},
	}
}
