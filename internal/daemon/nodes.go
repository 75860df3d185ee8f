package daemon

import (
	"context"
	"log/slog"
	"time"

	"straks/internal/config"
	"straks/orders"
	"straks/orders/postgres"
	"straks/orders/postgres/examine"
	"straks/smpp"
)

// shared is an engine whose journal several nodes share.
type shared interface {
	// Allow returns why this node must not submit now, or nil.
	Allow() error
	// Now returns the time by the clock that all nodes share.
	Now() time.Time
	// Heads returns the newest number of each feed.
	Heads(ctx context.Context) (map[string]uint64, error)
	// Nodes returns the live nodes, this one included.
	Nodes() []postgres.Node
	// Differences returns what other live nodes have otherwise, and must have alike.
	Differences() []postgres.Difference
	// Others returns what tells of the orders that other nodes accept from now on.
	Others(ctx context.Context) (*postgres.Others, error)
	// AcquireSlot waits until slot n of an SMSC's binds is this node's.
	AcquireSlot(ctx context.Context, smsc string, n int) (postgres.Slot, error)
	// WhoHas says why that slot is not this node's, in the meantime.
	WhoHas(smsc string, n int) string
}

// watchDatabase has the database looked at every minute, where the journal is in one.
func (d *Daemon) watchDatabase() error {
	cfg := d.config()
	if !cfg.Journal.Shared() {
		return nil
	}
	options, err := postgresOptions(cfg, d.log, nil)
	if err != nil {
		return err
	}
	conn, err := postgres.ConnConfig(options)
	if err != nil {
		return err
	}
	d.doctor = examine.NewWatch(conn, examine.Options{Sessions: postgres.Sessions(options)}, cfg.Journal.HA, d.log, d.registry)
	return nil
}

// Examine looks at the database of the configuration's journal, for "straks doctor".
func Examine(ctx context.Context, cfg *config.Config) ([]examine.Finding, error) {
	options, err := postgresOptions(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return nil, err
	}
	conn, err := postgres.ConnConfig(options)
	if err != nil {
		return nil, err
	}
	return examine.Examine(ctx, conn, examine.Options{Sessions: postgres.Sessions(options)}), nil
}

// share has the service and the gateway do as one node of several.
func (d *Daemon) share(service *orders.Config, gateway *smpp.Config) {
	if e, ok := d.journal.(shared); ok {
		service.Now, service.Heads = e.Now, e.Heads
		gateway.Allow, gateway.Slots = e.Allow, binds{e}
	}
}

// binds are an SMSC's binds as the gateway knows them.
type binds struct{ engine shared }

func (b binds) Acquire(ctx context.Context, smsc string, n int) (smpp.BindSlot, error) {
	s, err := b.engine.AcquireSlot(ctx, smsc, n)
	return smpp.BindSlot{Ended: s.Ended, Inherited: s.Inherited, Release: s.Release}, err
}

func (b binds) WhoHas(smsc string, n int) string { return b.engine.WhoHas(smsc, n) }

// webhooksTurn is the slot of the node that sends webhooks. No SMSC can have its name.
const webhooksTurn = "webhooks/"

// sendWebhooks sends webhooks while it is this node's turn: of several nodes, one sends.
func (d *Daemon) sendWebhooks(ctx context.Context) error {
	e, ok := d.journal.(shared)
	if !ok || len(d.config().Webhooks()) == 0 {
		return d.hooks.Run(ctx)
	}
	for ctx.Err() == nil {
		turn, err := e.AcquireSlot(ctx, webhooksTurn, 0)
		if err != nil {
			return err
		}
		d.log.Info("this node sends the webhooks now")
		d.hooks.Again()
		d.sends.Store(true)
		mine, end := context.WithCancel(ctx)
		go func() {
			defer end()
			select {
			case <-turn.Ended:
			case <-mine.Done():
			}
		}()
		_ = d.hooks.Run(mine) // it ends with its context
		end()
		d.sends.Store(false)
		turn.Release()
	}
	return ctx.Err()
}
