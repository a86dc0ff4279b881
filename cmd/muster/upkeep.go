package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// An upkeep is work that a server does from time to time while it serves. Several
// servers of one database may do it at once.
type upkeep struct {
	name  string
	every time.Duration
	do    func(ctx context.Context) error
}

// run does the work until ctx ends: soon after the start, and then each time that
// every has passed, less or more so that servers do not do it in step.
func (u upkeep) run(ctx context.Context, log *slog.Logger) {
	wait := min(u.every, time.Minute)
	for {
		select {
		case <-time.After(wait/2 + rand.N(wait)): //nolint:gosec // no secret
		case <-ctx.Done():
			return
		}
		if err := u.do(ctx); err != nil && ctx.Err() == nil {
			log.Error(u.name+" failed; it is tried again later", "error", err)
		}
		wait = u.every
	}
}

// untilNone is work that is done in steps, each of which tells how much it did. There
// is time between two, so that others who write come in between.
func untilNone(step func(ctx context.Context) (int, error)) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for {
			n, err := step(ctx)
			if err != nil || n == 0 {
				return err
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}
