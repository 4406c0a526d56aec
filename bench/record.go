//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/bench/record"
)

// recorded is the command whose events are recorded; its number is found nowhere
// else in them.
const recorded = 271_828_182

// recordAnew lets the consumer carry out one command and keeps its two events.
func recordAnew(ctx context.Context, bin binaries, opts options) error {
	w, err := newWorld(ctx, bin, opts, 0)
	if err != nil {
		return err
	}
	defer w.close()
	f, cl, err := enter(ctx, contestants()[1], w)
	if err != nil {
		return err
	}
	defer f.close()
	defer cl.close()
	cl.next = recorded
	if _, err := cl.drive(ctx, 1, 1, nil, nil); err != nil {
		return err
	}
	c := job.Number(recorded)
	s, err := cl.js.Stream(ctx, job.JournalStream)
	if err != nil {
		return fmt.Errorf("look at journal: %w", err)
	}
	for name, e := range map[string]record.Event{"started": record.Started(c), "succeeded": record.Succeeded(c)} {
		m, err := s.GetLastMsgForSubject(ctx, e.Subject)
		if err != nil {
			return fmt.Errorf("read %s: %w", e.Subject, err)
		}
		template, err := record.Template(c, m.Data)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join("record", name+".json"), template, 0o644); err != nil {
			return fmt.Errorf("write template: %w", err)
		}
	}
	return nil
}
