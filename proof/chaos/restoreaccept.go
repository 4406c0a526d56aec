//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
)

// journalStatus is as much of "consumer journal status --json" as is looked at here.
type journalStatus struct {
	Epoch struct {
		Number uint64 `json:"number"`
		Phase  string `json:"phase"`
	} `json:"epoch"`
	Findings []struct {
		Kind string `json:"kind"`
	} `json:"findings"`
	Loss struct {
		Messages uint64 `json:"messages"`
		Commands struct {
			Messages uint64 `json:"messages"`
		} `json:"commands"`
	} `json:"loss"`
	Replicas []struct {
		Epoch struct {
			Phase string `json:"phase"`
		} `json:"epoch"`
		InHand []struct{} `json:"inHand"`
	} `json:"replicas"`
	Notes []string `json:"notes"`
}

// monitors are the flags that name every server's monitoring address.
func (w *world) monitors() []string {
	var all []string
	for _, s := range w.servers {
		all = append(all, "--monitor", s.Monitor())
	}
	return all
}

// status is what operators see.
func (p *lossPlay) status(ctx context.Context) (s journalStatus, err error) {
	out, failed := p.world.consumer(ctx, append([]string{"journal", "status", "--json"}, p.world.monitors()...)...)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("%w (%w)", failed, err)
	}
	return s, nil
}

// accept does what the page says: look, mend, pause, accept what stays lost.
func (p *lossPlay) accept(ctx context.Context) error {
	if p.row.slow > 0 { // the answers come, and nothing can be written down
		sleep.For(ctx, time.Until(p.began.Add(p.row.slow+2*time.Second)))
	}
	s, err := p.status(ctx)
	if err != nil {
		return err
	}
	for _, f := range s.Findings {
		p.result.Findings[f.Kind]++
	}
	for _, r := range s.Replicas {
		p.result.InHand += len(r.InHand)
	}
	if p.row.mend != nil {
		if err := p.row.mend(ctx, p); err != nil {
			return err
		}
	}
	if p.row.toTheEnd {
		if _, err := p.world.consumer(ctx, "pause", "--all", "--reason", "the journal has lost something", "--operator", "ann"); err != nil {
			return err
		}
	}
	var last error
	if err := program.Await(ctx, func() bool {
		if last = p.tryToAccept(ctx); last != nil {
			sleep.For(ctx, time.Second)
		}
		return last == nil
	}); err != nil {
		return fmt.Errorf("%w (%w)", err, last)
	}
	p.accepted = time.Now()
	if p.row.commands && p.result.CommandsGivenUp == 0 {
		p.result.note("commands were lost, and the acceptance does not know it: trust would not ask for them")
	}
	return nil
}

// tryToAccept looks and accepts what that shows to be lost.
func (p *lossPlay) tryToAccept(ctx context.Context) error {
	s, err := p.status(ctx)
	if err != nil {
		return err
	}
	args := append([]string{"journal", "accept", "--reason", "a rehearsal", "--apply", "--operator", "ann"}, p.world.monitors()...)
	if n := s.Loss.Messages; n > 0 {
		args = append(args, "--lose", strconv.FormatUint(n, 10))
	}
	if n := s.Loss.Commands.Messages; n > 0 {
		args = append(args, "--lose-commands", strconv.FormatUint(n, 10))
	}
	_, err = p.world.consumer(ctx, args...)
	if err == nil {
		p.result.GivenUp, p.result.CommandsGivenUp = s.Loss.Messages, s.Loss.Commands.Messages
	}
	return err
}

// everybodyTrusts waits until every process knows that the journal is trusted again.
func (p *lossPlay) everybodyTrusts(ctx context.Context) error {
	return program.Await(ctx, func() bool {
		s, err := p.status(ctx)
		for _, r := range s.Replicas {
			if r.Epoch.Phase != s.Epoch.Phase {
				return false
			}
		}
		return err == nil
	})
}

// recovered reads what "consumer recover --archive --json" says it has done, by
// outcome; nil: it says nothing.
func recovered(printed string) map[string]int {
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	var last struct {
		Summary struct {
			Outcomes map[string]int `json:"outcomes"`
		} `json:"summary"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		return nil
	}
	return last.Summary.Outcomes
}
