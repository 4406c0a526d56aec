//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/countermand/countermand/internal/program"
)

const (
	// lampEvery is how often a process is asked whether it is ready.
	lampEvery = 20 * time.Millisecond
	// noticeWithin is the promise: from the first append after a loss to "not ready".
	noticeWithin = 5 * time.Second
)

// lamps is what every process of the service said when it was asked whether it is
// ready. Safe for concurrent use.
type lamps struct {
	mu  sync.Mutex
	all []lamp
}

// lamp is one process's.
type lamp struct {
	name string
	// shut is when it first said that the journal has lost something.
	shut time.Time
	// now is what it said last; said is what it said when only a person could end it.
	now, said string
}

// watchLamps asks every process until the context ends.
func watchLamps(ctx context.Context, w *world) *lamps {
	l := &lamps{all: make([]lamp, len(w.consumers))}
	for i, c := range w.consumers {
		l.all[i].name = c.Name
		url := "http://" + c.admin + "/readyz"
		go func() {
			again := time.NewTicker(lampEvery)
			defer again.Stop()
			for ctx.Err() == nil {
				l.take(i, ready(ctx, url))
				<-again.C
			}
		}()
	}
	return l
}

// ready asks a process whether it is ready, and returns why not; empty: it is, or
// it does not answer.
func ready(ctx context.Context, url string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return ""
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err != nil || answer.StatusCode == http.StatusOK {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (l *lamps) take(i int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := &l.all[i]
	one.now = text
	if one.shut.IsZero() && (strings.HasPrefix(text, "journal suspect: ") || strings.HasPrefix(text, "journal broken: ")) {
		one.shut = time.Now()
	}
	if one.said == "" && strings.HasPrefix(text, "journal broken: ") {
		one.said = text
	}
}

// broken reports whether every process says that only a person can go on.
func (l *lamps) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		if one.said == "" {
			return false
		}
	}
	return true
}

// last returns when the last process had stopped, and what one of them says.
func (l *lamps) last() (shut time.Time, said string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		if one.shut.After(shut) {
			shut = one.shut
		}
	}
	return shut, l.all[0].said
}

// says is what every process says now.
func (l *lamps) says() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, one := range l.all {
		all = append(all, fmt.Sprintf("%s: %q", one.name, one.now))
	}
	return strings.Join(all, "; ")
}

// notice waits until every process says that the journal has lost something, and
// that only a person can go on.
func (p *lossPlay) notice(ctx context.Context) error {
	if err := program.Await(ctx, p.lamps.broken); err != nil {
		return fmt.Errorf("not noticed: %s", p.lamps.says())
	}
	shut, said := p.lamps.last()
	p.result.Said = said
	p.result.From, p.result.Limited = string(p.row.from), true
	from := p.lostAt
	if p.row.from == fromAppend {
		first, appended := p.world.firstSince(ctx, p.began)
		if appended && first.Before(shut) {
			from = first
		} else {
			p.result.From, p.result.Limited = "the loss, nothing was appended", false
		}
	}
	p.result.Noticed = max(0, shut.Sub(from).Seconds())
	return nil
}

// allPaused waits until every process counts every provider as paused.
func (p *lossPlay) allPaused(ctx context.Context) error {
	for _, c := range p.world.consumers {
		url := "http://" + c.admin + "/metrics"
		if err := program.Await(ctx, func() bool {
			text := fetch(ctx, url)
			for _, k := range kinds() {
				if !strings.Contains(text, fmt.Sprintf("countermand_instance_paused{provider=%q} 1", k.Instance)) {
					return false
				}
			}
			return true
		}); err != nil {
			return fmt.Errorf("wait for the pause in %s: %w", c.Name, err)
		}
	}
	return nil
}

// fetch returns a page; empty: there is no answer.
func fetch(ctx context.Context, url string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return ""
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<22)) // half a page is looked at again
	return string(text)
}
