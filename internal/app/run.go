package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
)

// service is a part of the program that works from the start to the stop.
type service struct {
	name string // for the log
	// run works until ctx ends, then finishes what is in hand and returns. An
	// error stops the whole program. A service without work may return nil early.
	// Nil: the service is left out.
	run func(ctx context.Context) error
}

// stage is services that start together and stop together.
type stage []service

// run starts the stages in order and waits until ctx ends or a service fails.
// Then it stops them in reverse: a stage is told to stop when every service of
// the stages after it has returned. The error joins those of all services.
func run(ctx context.Context, log *slog.Logger, stages ...stage) error {
	if len(stages) == 0 {
		<-ctx.Done()
		return nil
	}
	inner, fail := context.WithCancel(ctx)
	defer fail()
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	errs := make([]error, len(stages[0])+1)
	var running sync.WaitGroup
	for i, s := range stages[0] {
		if s.run == nil {
			continue
		}
		running.Go(func() {
			if errs[i] = s.run(ctx); errs[i] != nil {
				fail()
			}
			log.Debug("service has stopped", "service", s.name)
		})
	}
	errs[len(stages[0])] = run(inner, log, stages[1:]...)
	stop()
	running.Wait()
	return errors.Join(errs...)
}

// when leaves a service out unless it is wanted.
func when(wanted bool, s service) service {
	if !wanted {
		s.run = nil
	}
	return s
}

// background is a service that cannot fail.
func background(name string, work func(ctx context.Context)) service {
	return service{name, func(ctx context.Context) error {
		work(ctx)
		return nil
	}}
}

// after delays a service until ready is closed.
func after(ready <-chan struct{}, s service) service {
	return when(s.run != nil, service{s.name, func(ctx context.Context) error {
		select {
		case <-ready:
			return s.run(ctx)
		case <-ctx.Done():
			return nil
		}
	}})
}
