package doctor

import (
	"context"
	"sync"
	"time"
)

const (
	// checkTime bounds one check: a few questions to the DNS, or a few connections.
	checkTime = 30 * time.Second
	// atOnce bounds the checks that run at the same time.
	atOnce = 16
)

// Watcher gets the subject and name of each check when it begins and when it has ended. It is called by several
// goroutines.
type Watcher func(subject, name string, ended bool)

// Examine runs all checks of the plan at the same time, each for 30 s at most, and returns what they found, in the
// plan's order. watch may be nil.
func Examine(ctx context.Context, p *Plan, r *Resolver, watch Watcher) []Finding {
	checks := p.checks(r)
	results := make([][]Finding, len(checks))
	slots := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, c := range checks {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			results[i] = c.examine(ctx, watch)
		})
	}
	running.Wait()
	var all []Finding
	for _, findings := range results {
		all = append(all, findings...)
	}
	return all
}

// examine runs one check.
func (c *check) examine(ctx context.Context, watch Watcher) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if watch != nil {
		watch(c.subject, c.name, false)
		defer watch(c.subject, c.name, true)
	}
	findings := c.run(ctx)
	for i := range findings {
		findings[i].Subject = c.subject
		if findings[i].Check == "" {
			findings[i].Check = c.name
		}
	}
	return findings
}
